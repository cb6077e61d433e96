#!/usr/bin/env node
// A stdio MCP server on Node's own streams, to be installed by npm: with notes.mjs beside it.
import { answers, lines } from "./notes.mjs";
for await (const line of lines(process.stdin.setEncoding("utf8"))) process.stdout.write(answers("notes-npm", line) ?? "");
