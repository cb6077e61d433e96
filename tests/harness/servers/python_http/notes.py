"""The MCP half of the test server: sessions, tools, and event streams that can be resumed."""
import itertools
import json
import threading
import time
import uuid

TOOLS = [
    {"name": "echo", "description": "Says it back", "annotations": {"readOnlyHint": True},
     "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}}},
    {"name": "big", "description": "An answer of so many bytes",
     "inputSchema": {"type": "object", "properties": {"bytes": {"type": "integer"}}}},
    {"name": "sleep", "description": "Answers after ms", "inputSchema": {"type": "object"}},
    {"name": "fail", "description": "A result with isError", "inputSchema": {"type": "object"}},
    {"name": "count", "description": "Progress so many times, then an answer, as events", "inputSchema": {"type": "object"}},
    {"name": "announce", "description": "A notification on every GET stream of the session", "inputSchema": {"type": "object"}},
    {"name": "poll", "description": "Ends its stream early; the answer is there for who resumes", "inputSchema": {"type": "object"}},
    {"name": "request_head", "description": "What the server saw of the request, and who sent it", "inputSchema": {"type": "object"}},
    {"name": "write_note", "description": "Limited in the tests", "inputSchema": {"type": "object"}},
    {"name": "delete_note", "description": "Denied in the tests", "inputSchema": {"type": "object"}},
]


def text_result(text, **more):
    return {"content": [{"type": "text", "text": text}], **more}


def notification(method, params):
    return {"jsonrpc": "2.0", "method": method, "params": params}


class Session:
    """The events of one session, in order, each under the name of its stream; waiting for more is waiting on `changed`."""

    def __init__(self):
        self.identifier = uuid.uuid4().hex
        self.changed = threading.Condition()
        self.events = []  # (event id, stream, message)
        self.ended = False
        self._numbers = itertools.count(1)

    def add(self, stream, message):
        with self.changed:
            self.events.append((f"{stream}-{next(self._numbers)}", stream, message))
            self.changed.notify_all()
            return self.events[-1]

    def end(self):
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def follow(self, stream, after=None, alive=lambda: True):
        """Events of `stream` from the one after `after` on (None: from this call on), until the session ends."""
        with self.changed:
            at = len(self.events) if after is None else next((n for n, e in enumerate(self.events, 1) if e[0] == after), 0)
        return self._follow(stream, at, alive)

    def _follow(self, stream, at, alive):
        while True:
            with self.changed:
                while len(self.events) == at and not self.ended and alive():
                    self.changed.wait(0.1)
                if len(self.events) == at:
                    return
                event = self.events[at]
            at += 1
            if event[1] == stream:
                yield event


def call(params):
    """The result of a tool that needs nothing but its arguments."""
    name, arguments = params.get("name"), params.get("arguments") or {}
    if name == "echo":
        return text_result(arguments.get("text", ""))
    if name == "big":
        return text_result("b" * arguments["bytes"])
    if name == "sleep":
        time.sleep(arguments["ms"] / 1000)
        return text_result("slept")
    if name == "fail":
        return text_result("it did not work", isError=True)
    if name in ("write_note", "delete_note"):
        return text_result("done")
    raise LookupError(f"Unknown tool: {name}")


def answer(message, head, peer):
    """The answer to one request, without regard to how it travels."""
    method, params = message["method"], message.get("params") or {}
    reply = {"jsonrpc": "2.0", "id": message["id"]}
    modern = "io.modelcontextprotocol/protocolVersion" in (params.get("_meta") or {})
    try:
        if method == "initialize":
            result = {"protocolVersion": params.get("protocolVersion", "2025-11-25"), "capabilities": {"tools": {}},
                      "serverInfo": {"name": "notes-http-py", "version": "1.0.0"}}
        elif method == "server/discover":
            result = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "ttlMs": 0, "cacheScope": "public"}
        elif method == "tools/list":
            result = {"tools": TOOLS, **({"ttlMs": 60000, "cacheScope": "public"} if modern else {})}
        elif method == "tools/call":
            result = (text_result(json.dumps({"head": head, "peer": peer})) if params.get("name") == "request_head"
                      else call(params))
        elif method == "ping":
            result = {}
        else:
            return {**reply, "error": {"code": -32601, "message": f"Method not found: {method}"}}
    except LookupError as error:
        return {**reply, "error": {"code": -32602, "message": str(error)}}
    return {**reply, "result": {**result, "resultType": "complete"} if modern else result}
