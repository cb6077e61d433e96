// Over stdio: server.mjs FILE
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { changing } from "./tools.mjs";

await changing(process.argv[2]).connect(new StdioServerTransport());
