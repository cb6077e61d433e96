// A server of the TypeScript SDK v2: revision 2026-07-28, and 2025 for clients that begin with initialize.
import { McpServer } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";

const text = (words) => ({ content: [{ type: "text", text: words }] });

serveStdio(() => {
  const server = new McpServer({ name: "notes-modern", version: "1.0.0" }, { capabilities: { tools: {} } });
  server.registerTool("echo", { description: "Says hello" }, async () => text("hello"));
  server.registerTool("write_note", { description: "Limited in the tests" }, async () => text("done"));
  server.registerTool("delete_note", { description: "Denied in the tests" }, async () => text("done"));
  return server;
});
