// A server that has what the conformance suite asks for, on PORT, made of the TypeScript SDK v1.
//
// /mcp sends what it asks of the client (sampling, elicitation) on the stream of the call that made it ask; /standalone sends
// it on the session's standalone stream, once the client has opened that. Both check Host and Origin.
import http from "node:http";
import { randomUUID } from "node:crypto";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import * as types from "@modelcontextprotocol/sdk/types.js";
import { prompts, resources, templates, toolList, tools } from "./content.mjs";

const port = Number(process.env.PORT);
const sessions = new Map(); // session id → transport

// The events of one session, kept for who resumes.
class Events {
  stored = [];

  async storeEvent(stream, message) {
    this.stored.push({ stream, message });
    return `${stream}_${this.stored.length}`;
  }

  async replayEventsAfter(last, { send }) {
    const at = Number(last.slice(last.lastIndexOf("_") + 1));
    const { stream } = this.stored[at - 1];
    for (let index = at; index < this.stored.length; ++index)
      if (this.stored[index].stream === stream && this.stored[index].message.jsonrpc)
        await send(`${stream}_${index + 1}`, this.stored[index].message);
    return stream;
  }
}

function serverFor(transport, standalone) {
  const server = new Server(
    { name: "conformance-notes", version: "1.0.0" },
    { capabilities: { tools: {}, resources: { subscribe: true }, prompts: {}, logging: {}, completions: {} } },
  );
  const named = (table, name) => {
    if (!Object.hasOwn(table, name)) throw new types.McpError(types.ErrorCode.InvalidParams, `unknown: ${name}`);
    return table[name];
  };
  server.setRequestHandler(types.ListToolsRequestSchema, () => ({ tools: toolList }));
  server.setRequestHandler(types.CallToolRequestSchema, async ({ params }, extra) => {
    const ask = async (method, asked, schema) => {
      if (!standalone) return extra.sendRequest({ method, params: asked }, schema);
      await transport.standaloneIsOpen;
      return server.request({ method, params: asked }, schema);
    };
    const leave = () => transport.closeSSEStream(extra.requestId);
    return named(tools, params.name)(params.arguments ?? {}, { ...extra, ask, leave });
  });
  server.setRequestHandler(types.ListResourcesRequestSchema, () => ({
    resources: Object.keys(resources).map((uri) => ({ uri, name: uri.slice(7), description: `The resource ${uri}` })),
  }));
  server.setRequestHandler(types.ListResourceTemplatesRequestSchema, () => ({ resourceTemplates: templates.list }));
  server.setRequestHandler(types.ReadResourceRequestSchema, ({ params: { uri } }) => ({
    contents: [{ uri, ...(templates.read(uri) ?? named(resources, uri)) }],
  }));
  server.setRequestHandler(types.SubscribeRequestSchema, () => ({}));
  server.setRequestHandler(types.UnsubscribeRequestSchema, () => ({}));
  server.setRequestHandler(types.ListPromptsRequestSchema, () => ({
    prompts: Object.entries(prompts).map(([name, { names }]) => ({
      name,
      description: `The prompt ${name}`,
      arguments: names.map((each) => ({ name: each, description: `Argument ${each}`, required: true })),
    })),
  }));
  server.setRequestHandler(types.GetPromptRequestSchema, ({ params }) => ({
    messages: named(prompts, params.name).messages(params.arguments ?? {}),
  }));
  server.setRequestHandler(types.CompleteRequestSchema, ({ params }) => ({
    completion: { values: ["paris", "park"].filter((value) => value.startsWith(params.argument.value)), hasMore: false },
  }));
  server.setRequestHandler(types.SetLevelRequestSchema, () => ({}));
  return server;
}

async function open(standalone) {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    eventStore: new Events(),
    retryInterval: 300,
    onsessioninitialized: (id) => void sessions.set(id, transport),
    onsessionclosed: (id) => void sessions.delete(id),
  });
  transport.standaloneIsOpen = new Promise((resolve) => (transport.standaloneOpened = resolve));
  await serverFor(transport, standalone).connect(transport);
  return transport;
}

const here = new Set(["127.0.0.1", "localhost", "[::1]"].map((host) => `${host}:${port}`));

http
  .createServer(async (request, response) => {
    const { host, origin } = request.headers;
    if (!here.has(host) || (origin && !here.has(origin.replace(/^http:\/\//, "")))) return response.writeHead(403).end();
    const path = request.url.split("?")[0];
    if (path !== "/mcp" && path !== "/standalone") return response.writeHead(404).end();
    const name = request.headers["mcp-session-id"];
    const transport = name === undefined ? await open(path === "/standalone") : sessions.get(name);
    if (!transport) return response.writeHead(404).end();
    if (request.method === "GET" && !request.headers["last-event-id"]) {
      const writeHead = response.writeHead;
      response.writeHead = (status, ...more) => {
        if (status === 200) transport.standaloneOpened();
        return writeHead.call(response, status, ...more);
      };
    }
    await transport.handleRequest(request, response);
  })
  .listen(port);
