// A server of the TypeScript SDK v2: revision 2026-07-28, and 2025 for clients that begin with initialize.
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { notes } from "./notes.mjs";

serveStdio(notes);
