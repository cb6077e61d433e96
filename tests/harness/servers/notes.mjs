// What the Bun and the Deno server have in common: answers(line) gives the answer line to one request line, or null.
const TOOLS = [
  { name: "echo", description: "Says it back", inputSchema: { type: "object", properties: { text: { type: "string" } } } },
  { name: "big", description: "An answer of so many bytes", inputSchema: { type: "object" } },
  { name: "fail", description: "A result with isError", inputSchema: { type: "object" } },
  { name: "write_note", description: "Limited in the tests", inputSchema: { type: "object" } },
  { name: "delete_note", description: "Denied in the tests", inputSchema: { type: "object" } },
];
const text = (words, more = {}) => ({ content: [{ type: "text", text: words }], ...more });

function call({ name, arguments: args = {} }) {
  if (name === "echo") return text(args.text ?? "");
  if (name === "big") return text("b".repeat(args.bytes));
  if (name === "fail") return text("it did not work", { isError: true });
  if (name === "write_note" || name === "delete_note") return text("done");
  throw Object.assign(new Error(`Unknown tool: ${name}`), { code: -32602 });
}

function result(name, { method, params = {} }) {
  if (method === "initialize")
    return { protocolVersion: params.protocolVersion ?? "2025-11-25", capabilities: { tools: {} }, serverInfo: { name, version: "1.0.0" } };
  if (method === "tools/list") return { tools: TOOLS };
  if (method === "tools/call") return call(params);
  if (method === "ping") return {};
  throw Object.assign(new Error(`Method not found: ${method}`), { code: -32601 });
}

export function answers(name, line) {
  let message;
  try { message = JSON.parse(line); } catch { return null; }
  if (message?.method === undefined || message.id === undefined) return null;
  const reply = { jsonrpc: "2.0", id: message.id };
  try { reply.result = result(name, message); } catch (error) { reply.error = { code: error.code ?? -32603, message: error.message }; }
  return JSON.stringify(reply) + "\n";
}

// Chunks of text in, whole lines out.
export async function* lines(chunks) {
  let rest = "";
  for await (const chunk of chunks) {
    rest += chunk;
    for (let end; (end = rest.indexOf("\n")) >= 0; rest = rest.slice(end + 1)) yield rest.slice(0, end);
  }
}
