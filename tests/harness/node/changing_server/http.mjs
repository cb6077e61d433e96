// Over Streamable HTTP, on PORT and HOST: http.mjs FILE [json]. Answers come as event streams, or with "json" as bodies.
import { randomUUID } from "node:crypto";
import http from "node:http";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { changing } from "./tools.mjs";

const sessions = new Map();
const enableJsonResponse = process.argv[3] === "json";

async function serve(incoming, outgoing) {
  let transport = sessions.get(incoming.headers["mcp-session-id"]);
  if (!transport) {
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID, enableJsonResponse, onsessioninitialized: (id) => void sessions.set(id, transport),
    });
    await changing(process.argv[2]).connect(transport);
  }
  await transport.handleRequest(incoming, outgoing);
}

http.createServer((incoming, outgoing) => serve(incoming, outgoing).catch(() => outgoing.destroy()))
  .listen(Number(process.env.PORT), process.env.HOST ?? "127.0.0.1");
