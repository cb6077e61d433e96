// An MCP client over HTTP made of the real TypeScript SDK, driven by a script of steps (steps.mjs says which).
//
//   node http_client.mjs '{"sdk":"v1"|"v2","mode":"legacy"|"auto"|"2026-07-28","transport":"http"|"sse","url":…,"steps":[…]}'
//
// {"connected":{…,"session":…}} has the server's session id; {"closed":true} comes when the session was ended with DELETE,
// or where there is none to end.
import { connectedTo, makeClient, runSteps, say } from "./steps.mjs";

const spec = JSON.parse(process.argv[2]);
const { Client, StreamableHTTPClientTransport, SSEClientTransport } =
  spec.sdk === "v2"
    ? await import("@modelcontextprotocol/client")
    : {
        ...(await import("@modelcontextprotocol/sdk/client/index.js")),
        ...(await import("@modelcontextprotocol/sdk/client/streamableHttp.js")),
        ...(await import("@modelcontextprotocol/sdk/client/sse.js")),
      };

const Transport = spec.transport === "sse" ? SSEClientTransport : StreamableHTTPClientTransport;
const transport = new Transport(new URL(spec.url));
const client = makeClient(Client, spec);

await client.connect(transport);
say({ connected: { ...connectedTo(client), session: transport.sessionId } });
await runSteps(client, spec);
await transport.terminateSession?.();
await client.close();
say({ closed: true });
process.exit(0);
