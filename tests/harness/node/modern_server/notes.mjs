// What the two servers beside it serve.
import { McpServer } from "@modelcontextprotocol/server";

const text = (words) => ({ content: [{ type: "text", text: words }] });

export function notes() {
  const server = new McpServer({ name: "notes-modern", version: "1.0.0" }, { capabilities: { tools: {} } });
  server.registerTool("echo", { description: "Says hello" }, async () => text("hello"));
  server.registerTool("write_note", { description: "Limited in the tests" }, async () => text("done"));
  server.registerTool("delete_note", { description: "Denied in the tests" }, async () => text("done"));
  server.registerTool("count", { description: "Three steps of progress, then an answer" }, async (context) => {
    const progressToken = context.mcpReq._meta?.progressToken;
    for (let progress = 1; progressToken !== undefined && progress <= 3; ++progress)
      await context.mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress, total: 3 } });
    return text("counted");
  });
  return server;
}
