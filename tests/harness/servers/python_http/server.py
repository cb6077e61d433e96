"""A Streamable HTTP MCP server on Python's http.server, with things beside MCP on the same port.

    server.py --port N | --unix FILE [--host ADDRESS] [--answers json|sse] [--log FILE] [--greeter PORT] [--reuse-port] [--idle SECONDS]
              [--not-a-number]

/mcp is MCP: POST, GET for a standalone stream, DELETE, Last-Event-ID. --answers sse sends every answer as an event.
--log FILE appends every byte that was received, before it is looked at: what is not in FILE was never delivered.
--idle closes connections that nobody has used for so long. --greeter PORT is a listener of another protocol, in which the
server speaks first. --not-a-number puts a NaN into the list of tools, as Python writes and reads it.

Beside it: /health · /file?bytes=N · /chunked?bytes=N · /until-close?bytes=N · /upload (its size and digest) · /raw (the
request's own bytes) · /gzip · /websocket (upgrade; then everything comes back) · CONNECT (the same)
"""
import argparse
import gzip
import hashlib
import json
import os
import socket
import socketserver
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import notes


def pattern(count):
    """Bytes that show where one is missing."""
    line = b"0123456789abcdef" * 64
    return (line * (count // len(line) + 1))[:count]


class Recorded:
    """A connection's reading side that remembers the bytes of the request under way, and writes all of them to the log."""

    def __init__(self, raw, log):
        self._raw, self._log, self.request = raw, log, b""

    def _note(self, data):
        if self._log is not None:
            os.write(self._log, data)
        if len(self.request) < 1 << 16:
            self.request += data
        return data

    def readline(self, limit=-1):
        return self._note(self._raw.readline(limit))

    def read(self, count=-1):
        return self._note(self._raw.read(count))

    def read1(self, count=-1):
        return self._note(self._raw.read1(count))

    def __getattr__(self, name):
        return getattr(self._raw, name)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # heads and bodies leave together

    def setup(self):
        super().setup()
        self.rfile = Recorded(self.rfile, self.server.log)

    def handle_one_request(self):
        self.rfile.request = b""
        super().handle_one_request()

    def log_message(self, *_):
        pass

    def handle_expect_100(self):
        super().handle_expect_100()
        self.wfile.flush()
        return True

    # -- bodies
    def pieces(self):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return
        left = int(self.headers.get("Content-Length", 0))
        while left and (piece := self.rfile.read(min(left, 1 << 20))):
            left -= len(piece)
            yield piece

    def reply(self, status, body=b"", kind="text/plain", **fields):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        if body or status not in (202, 204):
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def reply_json(self, status, value, **fields):
        self.reply(status, json.dumps(value).encode(), "application/json", **fields)

    def begin_chunks(self, kind, **fields):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def event(self, identifier, message):
        data = json.dumps(message) if message is not None else ""
        self.chunk(f"event: message\nid: {identifier}\ndata: {data}\n\n".encode())

    def end_chunks(self):
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    # -- MCP
    def session(self):
        """The request's session: None where it names none, False where there is none of that name."""
        name = self.headers.get("Mcp-Session-Id")
        return self.server.sessions.get(name, False) if name else None

    def mcp_post(self):
        body = b"".join(self.pieces())
        try:
            message = json.loads(body)
        except ValueError:
            return self.reply_json(400, {"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}})
        session = self.session()
        if session is False:
            return self.reply_json(404, {"jsonrpc": "2.0", "error": {"code": -32001, "message": "Session not found"}})
        messages = message if isinstance(message, list) else [message]
        requests = [m for m in messages if isinstance(m, dict) and "method" in m and "id" in m]
        if not requests:
            return self.reply(202)
        fields = {}
        if requests[0]["method"] == "initialize":
            session = notes.Session()
            self.server.sessions[session.identifier] = session
            fields = {"Mcp_Session_Id": session.identifier}
        tool = (requests[0].get("params") or {}).get("name") if requests[0]["method"] == "tools/call" else None
        if tool in ("count", "poll"):
            return self.stream_answer(requests[0], session or notes.Session(), tool)
        if tool == "announce":
            session.add("get", notes.notification("notifications/message", {"level": "info", "data": requests[0]["params"]["arguments"]}))
        answers = [self.answer(request) for request in requests]
        if self.server.answers == "sse":
            self.begin_chunks("text/event-stream", **fields)
            for number, each in enumerate(answers):
                self.event(number, each)
            return self.end_chunks()
        self.reply_json(200, answers if isinstance(message, list) else answers[0], **fields)

    def answer(self, request):
        if (request.get("params") or {}).get("name") == "announce":
            return {"jsonrpc": "2.0", "id": request["id"], "result": notes.text_result("announced")}
        return notes.answer(request, self.headers.items(), self.client_address[:2])

    def stream_answer(self, request, session, tool):
        arguments = request["params"].get("arguments") or {}
        stream = f"post{request['id']}"
        self.begin_chunks("text/event-stream")
        token = (request["params"].get("_meta") or {}).get("progressToken", 0)
        final = {"jsonrpc": "2.0", "id": request["id"], "result": notes.text_result(f"{tool} done")}
        if tool == "poll":  # a first event that can be named, then the end; the answer follows for who asks
            identifier, *_ = session.add(stream, None)
            self.event(identifier, None)
            self.end_chunks()
            session.add(stream, final)
            return
        for step in range(arguments.get("steps", 3)):
            progress = {"progressToken": token, "progress": step + 1}
            identifier, *_ = session.add(stream, notes.notification("notifications/progress", progress))
            self.event(identifier, session.events[-1][2])
        self.event(f"{stream}-end", final)
        self.end_chunks()

    def mcp_get(self):
        session = self.session()
        if not session:
            return self.reply(404 if session is False else 400)
        after = self.headers.get("Last-Event-ID")
        stream = after.rsplit("-", 1)[0] if after else "get"
        # Who has seen the head may count on every event from then on.
        events = session.follow(stream, after, self.is_connected)
        self.begin_chunks("text/event-stream")
        for identifier, _, message in events:
            self.event(identifier, message)
            if message and "id" in message:
                break
        self.end_chunks()

    def is_connected(self):
        try:
            return self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    # -- everything else
    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        count = int(urllib.parse.parse_qs(url.query).get("bytes", ["1024"])[0])
        if url.path == "/mcp":
            self.mcp_get()
        elif url.path == "/health":
            self.reply(200, b"ok\n", X_Served_By="notes-http-py")
        elif url.path == "/file":
            self.reply(200, pattern(count), "application/octet-stream", Last_Modified="Mon, 02 Nov 2026 10:00:00 GMT", ETag='"7"')
        elif url.path == "/chunked":
            self.begin_chunks("application/octet-stream")
            data = pattern(count)
            for at in range(0, count, 1000):
                self.chunk(data[at:at + 1000])
            self.end_chunks()
        elif url.path == "/until-close":
            self.close_connection = True
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(pattern(count))
        elif url.path == "/gzip":
            self.reply(200, gzip.compress(pattern(count), mtime=0), Content_Encoding="gzip")
        elif url.path == "/raw":
            self.raw()
        elif url.path == "/websocket" and self.headers.get("Upgrade"):
            self.tunnel(101, Upgrade="websocket", Connection="Upgrade")
        else:
            self.reply(404, b"no such page\n")

    do_HEAD = do_GET

    def do_POST(self):
        if urllib.parse.urlsplit(self.path).path == "/mcp":
            return self.mcp_post()
        if self.path == "/upload":
            digest, size = hashlib.sha256(), 0
            for piece in self.pieces():
                digest.update(piece)
                size += len(piece)
            return self.reply_json(200, {"bytes": size, "sha256": digest.hexdigest()})
        if self.path == "/raw":
            return self.raw()
        self.close_connection = True
        self.reply(404, b"no such page\n")

    def do_PUT(self):
        self.do_POST()

    def do_DELETE(self):
        session = self.session()
        if session:
            del self.server.sessions[session.identifier]
            session.end()
        self.reply(200 if session else 404)

    def do_CONNECT(self):
        self.tunnel(200)

    def raw(self):
        for _ in self.pieces():
            pass
        self.reply(200, self.rfile.request, "application/octet-stream")

    def tunnel(self, status, **fields):
        self.close_connection = True
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()
        while piece := self.rfile.read1(1 << 16):
            self.wfile.write(piece)
            self.wfile.flush()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def server_bind(self):
        if self.address_family == socket.AF_UNIX:
            self.socket.bind(self.server_address)
            self.server_name, self.server_port = "unix", 0
            return
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if self.reuse_port:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        socketserver.TCPServer.server_bind(self)  # HTTPServer's own looks its name up
        self.server_name, self.server_port = self.server_address[:2]

    def get_request(self):
        connection, address = super().get_request()
        return connection, address or ("unix", 0)

    def handle_error(self, *_):
        pass  # clients come and go


class Greeter(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 greetings\r\n")
        for line in self.rfile:
            self.wfile.write(line.upper())


def main():
    parser = argparse.ArgumentParser()
    listen = parser.add_mutually_exclusive_group(required=True)
    listen.add_argument("--port", type=int)
    listen.add_argument("--unix")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--answers", choices=("json", "sse"), default="json")
    parser.add_argument("--log")
    parser.add_argument("--greeter", type=int)
    parser.add_argument("--reuse-port", action="store_true")
    parser.add_argument("--idle", type=float)
    parser.add_argument("--not-a-number", action="store_true")
    options = parser.parse_args()
    Server.address_family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    Server.reuse_port = options.reuse_port
    Server.log = os.open(options.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) if options.log else None
    Handler.timeout = options.idle
    Server.answers, Server.sessions = options.answers, {}
    if options.not_a_number:
        notes.TOOLS[0]["weight"] = float("nan")
    if options.greeter:
        socketserver.ThreadingTCPServer.allow_reuse_address = socketserver.ThreadingTCPServer.daemon_threads = True
        greeter = socketserver.ThreadingTCPServer(("127.0.0.1", options.greeter), Greeter)
        threading.Thread(target=greeter.serve_forever, daemon=True).start()
    if options.unix:
        Server.address_family, Handler.disable_nagle_algorithm = socket.AF_UNIX, False
    Server(options.unix or (options.host, options.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
