// A server of the TypeScript SDK whose tools are what a file says at the moment: {"tools": [...], "page": N}. With a page size
// the list comes in pages.
import { readFileSync } from "node:fs";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { CallToolRequestSchema, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js";

export function changing(file) {
  const server = new Server({ name: "changing-tools", version: "1.0.0" }, { capabilities: { tools: { listChanged: true } } });
  server.setRequestHandler(ListToolsRequestSchema, async ({ params }) => {
    const { tools, page = tools.length } = JSON.parse(readFileSync(file, "utf8"));
    const from = Number(params?.cursor ?? 0);
    const next = from + page < tools.length ? { nextCursor: String(from + page) } : {};
    return { tools: tools.slice(from, from + page), ...next };
  });
  server.setRequestHandler(CallToolRequestSchema, async ({ params }) => {
    if (params.name === "tell") await server.sendToolListChanged();
    return { content: [{ type: "text", text: `called ${params.name}` }] };
  });
  return server;
}
