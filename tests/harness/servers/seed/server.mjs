// A stand-in for a published MCP server: its tools carry the real names (tools.json beside the caller's package.json),
// and each call is answered with how many calls of that tool this process has seen. Raw stdio, no SDK, so that what is
// measured is the agent.
import { readFileSync } from "node:fs";

export function serve(directory) {
  const { name, version } = JSON.parse(readFileSync(new URL("package.json", directory)));
  const tools = JSON.parse(readFileSync(new URL("tools.json", directory))).map(([tool, ...params]) => ({
    name: tool,
    inputSchema: { type: "object", properties: Object.fromEntries(params.map((p) => [p.replace("!", ""), {}])) },
  }));
  const known = new Set(tools.map((tool) => tool.name));
  const seen = new Map();
  const result = ({ method, params = {} }) => {
    if (method === "initialize")
      return { protocolVersion: params.protocolVersion ?? "2025-11-25", capabilities: { tools: {} }, serverInfo: { name, version } };
    if (method === "tools/list") return { tools };
    if (method === "ping") return {};
    if (method === "tools/call" && known.has(params.name)) {
      seen.set(params.name, (seen.get(params.name) ?? 0) + 1);
      return { content: [{ type: "text", text: `${params.name} ${seen.get(params.name)}` }] };
    }
    return null;
  };
  let rest = "";
  process.stdin.setEncoding("utf8");
  process.stdin.on("data", (chunk) => {
    rest += chunk;
    for (let end; (end = rest.indexOf("\n")) >= 0; rest = rest.slice(end + 1)) {
      let message;
      try { message = JSON.parse(rest.slice(0, end)); } catch { continue; }
      if (message?.method === undefined || message.id === undefined) continue;
      const answer = result(message);
      const body = answer === null ? { error: { code: -32602, message: "unknown method or tool" } } : { result: answer };
      process.stdout.write(JSON.stringify({ jsonrpc: "2.0", id: message.id, ...body }) + "\n");
    }
  });
}
