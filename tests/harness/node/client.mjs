// An MCP client over stdio made of the real TypeScript SDK, driven by a script of steps (steps.mjs says which).
//
//   node client.mjs '{"sdk":"v1"|"v2","mode":"legacy"|"auto"|"2026-07-28","command":…,"args":[…],"steps":[…]}'
//
// {"closed":{"code":…,"signal":…}} is the way in which the server ended.
import { connectedTo, makeClient, runSteps, say } from "./steps.mjs";

const spec = JSON.parse(process.argv[2]);
const { Client, StdioClientTransport } =
  spec.sdk === "v2"
    ? { ...(await import("@modelcontextprotocol/client")), ...(await import("@modelcontextprotocol/client/stdio")) }
    : { ...(await import("@modelcontextprotocol/sdk/client/index.js")), ...(await import("@modelcontextprotocol/sdk/client/stdio.js")) };

const transport = new StdioClientTransport({ command: spec.command, args: spec.args, env: { ...process.env, ...spec.env }, stderr: "inherit" });
const client = makeClient(Client, spec);

await client.connect(transport);
say({ connected: { pid: transport.pid, ...connectedTo(client) } });
const ended = new Promise((resolve) => transport._process.once("close", (code, signal) => resolve({ code, signal })));
await runSteps(client, spec);
await client.close();
say({ closed: await ended });
process.exit(0);
