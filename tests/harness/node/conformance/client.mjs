// A client for the conformance suite's client scenarios, made of the TypeScript SDK v1: client.mjs URL, with the scenario's
// name in MCP_CONFORMANCE_SCENARIO and what it gives the client in MCP_CONFORMANCE_CONTEXT.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { providerFor, tokenOfEnterprise } from "./authorization.mjs";

const url = new URL(process.argv[2]);
const scenario = process.env.MCP_CONFORMANCE_SCENARIO;
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? "{}");

const client = new Client(
  { name: "conformance-client", version: "1.0.0" },
  { capabilities: { elicitation: { form: { applyDefaults: true } } } },
);
client.setRequestHandler(ElicitRequestSchema, () => ({ action: "accept", content: {} }));

// What wants authorization first, or more of it, is done again with it.
async function authorized(action) {
  for (let left = 4; ; --left) {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof UnauthorizedError) || !provider?.code || !left) throw error;
      await transport.finishAuth(provider.takeCode());
    }
  }
}

let provider;
if (scenario === "auth/cross-app-access-complete-flow") provider = await tokenOfEnterprise(url, context);
else if (scenario.startsWith("auth/")) provider = providerFor(scenario, context);

let transport;
await authorized(() => {
  transport = new StreamableHTTPClientTransport(url, { authProvider: provider });
  return client.connect(transport);
});
// The scenario "initialize" has a server without tools.
const { tools } = scenario === "initialize" ? { tools: [] } : await authorized(() => client.listTools());
for (const { name } of tools) await authorized(() => client.callTool({ name, arguments: name === "add_numbers" ? { a: 2, b: 3 } : {} }));
await client.close();
process.exit(0);
