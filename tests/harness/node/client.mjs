// An MCP client made of the real TypeScript SDK, driven by a script of steps.
//
//   node client.mjs '{"sdk":"v1"|"v2","mode":"legacy"|"auto"|"2026-07-28","command":…,"args":[…],"steps":[…]}'
//
// Steps: {"list":true} · {"call":{"name":…,"arguments":{…}}} · {"ping":true} · {"wait":true} (for a line on stdin).
// Prints one JSON line per event: {"connected":…} · {"result":…} or {"error":{code,message,data}} for each step ·
// {"closed":{"code":…,"signal":…}}, the way in which the server ended.
import readline from "node:readline";

const spec = JSON.parse(process.argv[2]);
const { Client, StdioClientTransport } =
  spec.sdk === "v2"
    ? { ...(await import("@modelcontextprotocol/client")), ...(await import("@modelcontextprotocol/client/stdio")) }
    : { ...(await import("@modelcontextprotocol/sdk/client/index.js")), ...(await import("@modelcontextprotocol/sdk/client/stdio.js")) };

const say = (event) => process.stdout.write(JSON.stringify(event) + "\n");
const failure = ({ code, message, data, name }) => ({ code, message, data, name });
const typed = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function run(client, step) {
  if (step.list) {
    const tools = [];
    let cursor;
    do {
      const page = await client.listTools(cursor === undefined ? {} : { cursor });
      tools.push(...page.tools);
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    return { tools };
  }
  if (step.call) return client.callTool({ arguments: {}, ...step.call });
  if (step.ping) return client.ping();
  if (step.wait) return void (await typed.next());
  throw new Error(`unknown step ${JSON.stringify(step)}`);
}

const transport = new StdioClientTransport({ command: spec.command, args: spec.args, env: { ...process.env, ...spec.env }, stderr: "inherit" });
const options = { capabilities: {} };
if (spec.sdk === "v2" && spec.mode && spec.mode !== "legacy")
  options.versionNegotiation = { mode: spec.mode === "auto" ? "auto" : { pin: spec.mode } };
const client = new Client({ name: `test-client-${spec.sdk}`, version: "1.0.0" }, options);

await client.connect(transport);
say({ connected: { pid: transport.pid, server: client.getServerVersion?.(), negotiated: client.getNegotiatedProtocolVersion?.() } });
const ended = new Promise((resolve) => transport._process.once("close", (code, signal) => resolve({ code, signal })));
for (const step of spec.steps) {
  try {
    say({ result: (await run(client, step)) ?? null });
  } catch (error) {
    say({ error: failure(error) });
  }
}
await client.close();
say({ closed: await ended });
process.exit(0);
