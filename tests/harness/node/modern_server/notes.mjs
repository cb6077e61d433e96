// What the two servers beside it serve.
import { inputRequired, McpServer } from "@modelcontextprotocol/server";

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
  // What it asks of its client: within the result of the call (2026-07-28), by a request of its own before that.
  const asking = (name, description, request) =>
    server.registerTool(name, { description }, async ({ mcpReq: { inputResponses } }) =>
      inputResponses?.asked ? text(JSON.stringify(inputResponses.asked)) : inputRequired({ inputRequests: { asked: request } }));
  asking("ask_city", "Asks the user", inputRequired.elicit({
    message: "Which city?", requestedSchema: { type: "object", properties: { city: { type: "string" } } },
  }));
  asking("ask_model", "Asks the model", inputRequired.createMessage({
    messages: [{ role: "user", content: { type: "text", text: "Which city?" } }], maxTokens: 50,
  }));
  return server;
}
