"""MCP sessions over HTTP on plain sockets: Streamable HTTP in every revision, and the older HTTP+SSE."""
import json

from .events import EventStream, events_of
from .http_connection import HttpConnection, make_request

META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "harness", "version": "1.0.0"},
        "io.modelcontextprotocol/clientCapabilities": {}}
BOTH_KINDS = "application/json, text/event-stream"


class NoAnswer(ConnectionError):
    """The agent's word for a server that closed the connection instead of answering."""


class McpHttp:
    """An MCP session over Streamable HTTP, on one connection for posts and one for each stream.

    version: the revision; "2026-07-28" has no handshake, and every request says what it is in its head and its _meta.
    """

    def __init__(self, server, *, version="2025-11-25", path=None, host=None, accept=BOTH_KINDS, source=None):
        self.host, self.port = host or server.host, server.port
        self.path, self.version, self.accept, self.source = path or server.path, version, accept, source
        self.session = None
        self.initialized = False
        self.next_id = 1
        self.connection = self.connect()

    @property
    def modern(self):
        return self.version >= "2026-07-28"

    def connect(self):
        return HttpConnection(self.host, self.port, source=self.source)

    def reconnect(self):
        self.connection.close()
        self.connection = self.connect()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.connection.close()

    # -- making requests
    def message(self, method, params=None, identifier=None):
        if identifier is None:
            identifier, self.next_id = self.next_id, self.next_id + 1
        params = {**(params or {}), **({"_meta": META} if self.modern else {})}
        return {"jsonrpc": "2.0", "id": identifier, "method": method, "params": params}

    def fields(self, message=None):
        fields = [("Content-Type", "application/json"), ("Accept", self.accept)]
        if self.session:
            fields.append(("Mcp-Session-Id", self.session))
        if self.modern or self.initialized and self.version >= "2025-06-18":
            fields.append(("MCP-Protocol-Version", self.version))
        if self.modern and isinstance(message, dict):
            fields.append(("Mcp-Method", message["method"]))
            params = message.get("params") or {}
            if name := params.get("name", params.get("uri")):
                fields.append(("Mcp-Name", name))
        return fields

    def encode(self, message):
        """The bytes of the POST that carries `message` (an object, an array, or bytes)."""
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        return make_request("POST", self.path, self.fields(message), body)

    def post(self, message):
        """One exchange; returns the whole response."""
        self.connection.send(self.encode(message))
        return self.connection.read_response("POST")

    def request(self, method, params=None, identifier=None):
        """One request; returns the message that answers it."""
        message = self.message(method, params, identifier)
        response = self.post(message)
        if response.status == 502 and response.body.startswith(b"callgate has no answer of the server"):
            raise NoAnswer(response.body.decode())
        if response.status != 200:
            raise AssertionError(f"{method}: {response.status} {response.body!r}")
        return self.answer_in(response, message["id"])

    @staticmethod
    def answer_in(response, identifier):
        """The answer to `identifier` in a finished response, which may hold other messages before it."""
        if (response.field("Content-Type") or "").startswith("text/event-stream"):
            for event in events_of(response.body):
                message = event.json() if event.data else {}
                if message.get("id") == identifier and "method" not in message:
                    return message
            raise AssertionError(f"no answer to {identifier!r} in {response.body!r}")
        return json.loads(response.body)

    def initialize(self):
        if self.modern:
            return self.request("server/discover")
        message = self.message("initialize", {"protocolVersion": self.version, "capabilities": {},
                                              "clientInfo": {"name": "harness", "version": "1.0.0"}}, identifier=0)
        response = self.post(message)
        if response.status != 200:
            raise AssertionError(f"initialize: {response.status} {response.body!r}")
        self.session = response.field("Mcp-Session-Id")
        self.initialized = True
        status = self.notify("notifications/initialized").status
        if status != 202:
            raise AssertionError(f"notifications/initialized: {status}")
        return self.answer_in(response, 0)

    def notify(self, method, params=None):
        return self.post({"jsonrpc": "2.0", "method": method, "params": params or {}})

    def list(self):
        return self.request("tools/list")["result"]["tools"]

    def call_message(self, tool, arguments=None, identifier=None):
        return self.message("tools/call", {"name": tool, "arguments": arguments or {}}, identifier)

    def call(self, tool, arguments=None, identifier=None):
        return self.request("tools/call", {"name": tool, "arguments": arguments or {}}, identifier)

    # -- streams
    def open_stream(self, last_event=None):
        """A standalone stream of the session, on a connection of its own."""
        fields = [("Accept", "text/event-stream"), ("MCP-Protocol-Version", self.version)]
        if self.session:
            fields.append(("Mcp-Session-Id", self.session))
        if last_event is not None:
            fields.append(("Last-Event-ID", last_event))
        connection = self.connect()
        connection.send(make_request("GET", self.path, fields))
        head = connection.read_head()
        if head.status != 200:
            raise AssertionError(f"GET: {head.status} {connection.read_body(head)!r}")
        return EventStream(connection, head)

    def post_stream(self, message):
        """A POST on a connection of its own whose answer is read event by event."""
        connection = self.connect()
        connection.send(self.encode(message))
        head = connection.read_head()
        if head.status != 200:
            raise AssertionError(f"POST: {head.status} {connection.read_body(head)!r}")
        return EventStream(connection, head)

    def delete(self):
        response = self.connection.request("DELETE", self.path, [("Mcp-Session-Id", self.session)])
        self.session = None
        return response


class SseClient:
    """A session of the older HTTP+SSE transport: a stream that names where to post, and posts answered on the stream."""

    def __init__(self, server, *, path="/sse", host=None, fields=()):
        self.host, self.port = host or server.host, server.port
        connection = HttpConnection(self.host, self.port)
        connection.send(make_request("GET", path, [("Accept", "text/event-stream"), *fields]))
        self.stream = EventStream(connection, connection.read_head())
        event = self.stream.next()
        if event.name != "endpoint":
            raise AssertionError(f"not an endpoint: {event}")
        self.endpoint = event.data
        self.connection = HttpConnection(self.host, self.port)
        self.next_id = 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.connection.close()
        self.stream.close()

    def post(self, message):
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        return self.connection.request("POST", self.endpoint, [("Content-Type", "application/json")], body)

    def request(self, method, params=None, identifier=None):
        if identifier is None:
            identifier, self.next_id = self.next_id, self.next_id + 1
        response = self.post({"jsonrpc": "2.0", "id": identifier, "method": method, "params": params or {}})
        if response.status != 202:
            raise AssertionError(f"{method}: {response.status} {response.body!r}")
        return self.stream.answer(identifier)

    def initialize(self):
        answer = self.request("initialize", {"protocolVersion": "2024-11-05", "capabilities": {},
                                             "clientInfo": {"name": "harness", "version": "1.0.0"}}, identifier=0)
        self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer

    def call(self, tool, arguments=None, identifier=None):
        return self.request("tools/call", {"name": tool, "arguments": arguments or {}}, identifier)
