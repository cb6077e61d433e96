// The same server over HTTP, on PORT and HOST: revision 2026-07-28 under /mcp, and 2025 without sessions.
import http from "node:http";
import { Readable } from "node:stream";
import { createMcpHandler } from "@modelcontextprotocol/server";
import { notes } from "./notes.mjs";

const handler = createMcpHandler(notes);

async function serve(incoming, outgoing) {
  const abort = new AbortController();
  outgoing.on("close", () => abort.abort());
  const hasBody = !["GET", "HEAD"].includes(incoming.method);
  const request = new Request(`http://${incoming.headers.host}${incoming.url}`, {
    method: incoming.method,
    headers: Object.entries(incoming.headersDistinct).flatMap(([name, values]) => values.map((value) => [name, value])),
    body: hasBody ? Readable.toWeb(incoming) : undefined,
    duplex: "half",
    signal: abort.signal,
  });
  const response = request.url.endsWith("/mcp") ? await handler.fetch(request) : new Response("no such page\n", { status: 404 });
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  if (response.body) Readable.fromWeb(response.body).on("error", () => outgoing.destroy()).pipe(outgoing);
  else outgoing.end();
}

http.createServer((incoming, outgoing) => serve(incoming, outgoing).catch(() => outgoing.destroy()))
  .listen(Number(process.env.PORT), process.env.HOST ?? "127.0.0.1");
