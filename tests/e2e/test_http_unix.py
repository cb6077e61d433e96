"""Servers that listen on AF_UNIX sockets: each connection is taken over at its first request."""
import signal
import subprocess
import types

from governed_http import *  # noqa: F403
from governed_http import (BINARY, FAULTS, NODE, PYTHON, SERVERS, HttpConnection, HttpEndToEnd, contextlib, descendants, json, main,
                           make_request, os, policy, socket, time, wait_for)

PYTHON_SERVER = (PYTHON, str(SERVERS / "python_http" / "server.py"), "--unix")
PYTHON_MATCH = {"package": "notes-http-py"}
# Answers a tools/call with the tool's name, and anything else with the method; says to whom by its first header.
NODE_SERVER = (NODE, "-e", """
require('http').createServer((request, response) => {
    const parts = [];
    request.on('data', part => parts.push(part)).on('end', () => {
        const message = JSON.parse(Buffer.concat(parts).toString() || '{}');
        if (message.id === undefined) return response.writeHead(202).end();
        response.setHeader('Content-Type', 'application/json');
        response.end(JSON.stringify({jsonrpc: '2.0', id: message.id, result: message.method === 'tools/call' ?
            {content: [{type: 'text', text: 'done'}]} : {method: message.method}}));
    });
}).listen(process.argv[1])""")
NODE_MATCH = {"command": "* -e *createServer*"}
# Forks two workers that accept from one listener.
FORKING = (PYTHON, "-c", """
import os, sys
sys.path.insert(0, sys.argv[2]); sys.argv[1:] = ["--unix", sys.argv[1]]
import socketserver, server
original = socketserver.BaseServer.serve_forever
def serve(self):
    os.fork()
    original(self)
socketserver.BaseServer.serve_forever = serve
server.main()
""")
# Messages on lines, without HTTP.
LINES = (PYTHON, "-c", """
import json, os, socketserver, sys
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            message = json.loads(line)
            if "id" in message:
                result = {"content": [{"type": "text", "text": "done"}]}
                self.wfile.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode() + b"\\n")
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
Server(sys.argv[1], Handler).serve_forever()
""")


def call(tool, identifier=1):
    return {"jsonrpc": "2.0", "id": identifier, "method": "tools/call", "params": {"name": tool, "arguments": {}}}


class TestUnixServers(HttpEndToEnd):
    def start(self, command, *more):
        """Starts a server on a file of its own; returns what a client needs to know of it."""
        self.started = getattr(self, "started", 0) + 1
        path = str(self.directory() / f"socket-{self.started}")
        process = subprocess.Popen([*command, path, *more], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._stderr)
        self.addCleanup(self.end, process)

        def listens():
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(path)
                return True
        wait_for(listens, "the server listens")
        return types.SimpleNamespace(host=path, port=0, path="/mcp", pid=process.pid, process=process)

    @staticmethod
    def end(process):
        below = descendants(process.pid)
        process.kill()
        process.wait()
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def post(self, server, message, connection=None):
        connection = connection or self.connect(server)
        body = json.dumps(message).encode()
        return connection.request("POST", "/mcp", [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")], body)

    def test_the_first_request_of_every_connection_is_judged(self):
        for command, match in ((PYTHON_SERVER, PYTHON_MATCH), (NODE_SERVER, NODE_MATCH)):
            for first in ("agent", "server"):
                with self.case(server=command[0], first=first):
                    rules = {"example": policy(match, denied="delete_note")}
                    agent = self.agent(rules) if first == "agent" else None
                    server = self.start(command)
                    if not agent:
                        self.assertEqual(self.post(server, call("delete_note")).json()["result"]["content"][0]["text"], "done")
                        agent = self.agent(rules)
                    for _ in range(3):
                        connection = self.connect(server)
                        for identifier in range(3):
                            self.assert_denial(self.post(server, call("delete_note", identifier), connection), identifier)
                            self.assertIn("result", self.post(server, {"jsonrpc": "2.0", "id": 5, "method": "ping"}, connection).json())
                        connection.close()
                    record = self.assert_judged(agent, "tools/call", "deny", count=9)[-1]
                    self.assertEqual(record["peer"]["pid"], os.getpid())
                    self.assertEqual([each["listen"] for each in agent.status()["listeners"]], ["unix:" + server.host])
                    self.stop_agent(agent)
                    self.assertEqual(self.post(server, call("delete_note")).json()["result"]["content"][0]["text"], "done")
                    server.process.kill()

    def test_many_first_requests_at_once(self):
        """More threads in the middle of their first read than there are processors."""
        agent = self.agent({"example": policy(PYTHON_MATCH, denied="delete_note")})
        server = self.start(PYTHON_SERVER)
        fields = [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")]
        requests = [make_request("POST", "/mcp", fields, json.dumps(call("delete_note", identifier)).encode()) for identifier in range(16)]
        for _ in range(20):
            connections = [self.connect(server) for _ in requests]
            for connection, request in zip(connections, requests):
                connection.send(request)
            for identifier, connection in enumerate(connections):
                self.assert_denial(connection.read_response("POST"), identifier)
                connection.close()
        self.assert_judged(agent, "tools/call", "deny", count=320)
        self.assertEqual(agent.audit("session_blind"), [])

    def test_a_session(self):
        """The whole transport, streams too, through one and over many connections."""
        server = self.start(PYTHON_SERVER)
        self.agent({"example": policy(PYTHON_MATCH, denied="delete_note", hide=["delete_note"])})
        client = self.mcp(server)
        self.assertNotIn("delete_note", [tool["name"] for tool in client.list()])
        self.assert_result(client.call("echo", {"text": "hello"}))
        client.reconnect()
        self.assert_denied(client.call("delete_note"), reason=None)
        stream = client.open_stream()
        self.assertEqual(client.delete().status, 200)
        stream.close()

    def test_connections_from_before_the_agent(self):
        server = self.start(PYTHON_SERVER)
        client, under_way = self.mcp(server), self.mcp(server)
        self.assert_result(client.call("delete_note"))
        message = under_way.encode(under_way.call_message("delete_note", identifier="cut in two"))
        under_way.connection.send(message[:-20])
        self.agent({"example": policy(PYTHON_MATCH, denied="delete_note")})
        self.assert_denied(client.call("delete_note"))
        under_way.connection.send(message[-20:])
        self.assert_result(under_way.connection.read_response("POST").json())
        self.assert_denied(under_way.call("delete_note"))

    def test_forked_workers(self):
        server = self.start(FORKING, str(SERVERS / "python_http"))
        self.agent({"example": policy({"command": "*socketserver*"}, denied="delete_note")})
        for _ in range(20):
            self.assert_denial(self.post(server, call("delete_note")), 1)

    def test_split_writes(self):
        """A first request in many pieces; the server sees it whole, or not at all."""
        server = self.start(PYTHON_SERVER)
        self.agent({"example": policy(PYTHON_MATCH, denied="delete_note")})
        for tool, denied in (("delete_note", True), ("echo", False)):
            request = make_request("POST", "/mcp", [("Content-Type", "application/json")], json.dumps(call(tool)).encode())
            connection = self.connect(server)
            for at in range(0, len(request), 7):
                connection.send(request[at:at + 7])
                time.sleep(0.001)  # so that they are reads of their own
            response = connection.read_response("POST")
            self.assertEqual("_meta" in response.json()["result"], denied, response.body)

    def test_lines_without_http(self):
        server = self.start(LINES)
        agent = self.agent({"example": policy({"command": "*UnixStreamServer*"}, denied="delete_note")})
        with HttpConnection(server.host) as connection:
            for tool, denied in (("delete_note", True), ("echo", False)):
                connection.send(json.dumps(call(tool)).encode() + b"\n")
                answer = json.loads(connection._until(b"\n"))
                self.assertEqual("_meta" in answer["result"], denied, answer)
        record = agent.wait_audit("message", decision="deny")[0]
        self.assertEqual(record["peer"]["pid"], os.getpid())

    def test_lines_behind_what_is_none(self):
        """Neither behind something else, nor behind half a message from before the agent."""
        hidden = json.dumps(call("delete_note")).encode() + b"\n"
        server = self.start(LINES)
        with HttpConnection(server.host) as early, HttpConnection(server.host) as late:
            half = json.dumps(call("echo", 7)).encode()
            early.send(half[:20])
            late.send(half[:20])
            agent = self.agent({"example": policy({"command": "*UnixStreamServer*"}, denied="delete_note")})
            early.send(half[20:] + b"\n" + hidden)
            self.assertNotIn(b"done", early.read_rest())
            agent.wait_audit("connection_cut")
            late.send(half[20:] + b"\n")
            self.assertEqual(json.loads(late._until(b"\n"))["id"], 7)
            late.send(hidden)
            self.assertIn("_meta", json.loads(late._until(b"\n"))["result"])
        for before in (b"x\n", b"GARBAGE\n", b"\x16\x03\x01\n", b"EHLO there\r\n", b"GET\n"):
            with self.case(before=before), HttpConnection(server.host) as connection:
                connection.send(before + hidden)
                with contextlib.suppress(TimeoutError):
                    connection.socket.settimeout(1)
                    self.assertNotIn(b"done", connection.read_rest())

    def test_a_child_that_listens_again(self):
        """Another program, with the server's own socket: nothing is forgotten of the server."""
        script = """
import os, socketserver, subprocess, sys
sys.path.insert(0, sys.argv[2]); path = sys.argv[1]; sys.argv[1:] = ["--unix", path]
import server
original = server.Server.server_activate
def activate(self):
    original(self)
    os.set_inheritable(self.fileno(), True)
    again = "import socket, sys; socket.socket(fileno=int(sys.argv[1])).listen(64)"
    subprocess.run(["/usr/bin/python3", "-c", again, str(self.fileno())], close_fds=False, check=True)
server.Server.server_activate = activate
server.main()
"""
        self.agent({"example": policy({"command": "*server_activate*"}, denied="delete_note")})
        server = self.start((PYTHON, "-c", script), str(SERVERS / "python_http"))
        for _ in range(3):
            self.assert_denial(self.post(server, call("delete_note")), 1)

    def test_a_file_that_has_moved(self):
        """It is known by itself, not by where it was: nothing is there by now, or another server's."""
        for is_replaced in (False, True):
            with self.case(is_replaced=is_replaced):
                server, other = self.start(PYTHON_SERVER), self.start(NODE_SERVER)
                name, server.host = server.host, server.host + "-elsewhere"
                os.rename(name, server.host)
                if is_replaced:
                    os.rename(other.host, name)
                    other.host = name
                agent = self.agent({"example": policy(PYTHON_MATCH, denied="delete_note")})
                for _ in range(3):
                    self.assert_denial(self.post(server, call("delete_note")), 1)
                    self.assertEqual(self.post(other, call("delete_note")).json()["result"]["content"][0]["text"], "done")
                self.assert_judged(agent, "tools/call", "deny", count=3)
                self.assertEqual(agent.audit("session_blind"), [])
                self.stop_agent(agent)

    def test_what_cannot_be_governed_is_said(self):
        """An abstract address, and packets: with the reason, whoever was there first, and on_blind decides."""
        script = """
import json, socket, sys
kind, name = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET if kind == "packets" else socket.SOCK_STREAM)
listener.bind("\\0" + name if kind == "abstract" else name)
listener.listen(5)
print("listens", flush=True)
while True:
    connection = listener.accept()[0]
    connection.recv(4096)
    connection.send(b"done")
    connection.close()
"""
        for kind, reason in (("abstract", "an abstract address"), ("packets", "SOCK_SEQPACKET")):
            for first in ("agent", "server"):
                for on_blind in ("allow", "kill"):
                    with self.case(kind=kind, first=first, on_blind=on_blind):
                        rules = {"example": policy({"command": f"* {kind} *"}, default="deny", on_blind=on_blind)}
                        name = str(self.directory() / f"name-{time.monotonic_ns()}")
                        agent = self.agent(rules) if first == "agent" else None
                        process = subprocess.Popen([PYTHON, "-c", script, kind, name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                                   stderr=self._stderr)
                        self.addCleanup(process.stdout.close)
                        self.addCleanup(self.end, process)
                        process.stdout.readline()
                        agent = agent or self.agent(rules)
                        event = agent.wait_audit("session_blind")[0]
                        self.assertIn(reason, event["reason"])
                        self.assertIs(event["killed"], on_blind == "kill")
                        if on_blind == "kill":
                            self.assertEqual(process.wait(10), -signal.SIGKILL)
                        else:
                            packets = kind == "packets"
                            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET if packets else socket.SOCK_STREAM) as peer:
                                peer.connect(name if packets else "\0" + name)
                                peer.send(json.dumps(call("delete_note")).encode())
                                self.assertEqual(peer.recv(9), b"done")
                        self.assertEqual(len(agent.audit("session_blind")), 1)
                        self.stop_agent(agent)

    def test_a_connection_that_is_read_unseen(self):
        """It cannot be taken over at its first request: on_blind decides what becomes of its server."""
        script = """
import os, socketserver, sys
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        read, write = os.pipe()
        moved = os.splice(self.request.fileno(), write, 65536)
        message = os.read(read, moved)
        self.wfile.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\ndone")
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
Server(sys.argv[1], Handler).serve_forever()  # reads_unseen
"""
        os.environ["CALLGATE_SLOW_STEP"] = "to be told 20000"  # the connection is over by then
        self.addCleanup(os.environ.pop, "CALLGATE_SLOW_STEP")
        for on_blind, binary in (("allow", BINARY), ("kill", BINARY), ("allow", FAULTS)):
            with self.case(on_blind=on_blind, binary=binary.name):
                agent = self.agent({"example": policy({"command": "*reads_unseen*"}, denied="delete_note", on_blind=on_blind)}, binary=binary)
                server = self.start((PYTHON, "-c", script))
                connection = self.connect(server)
                connection.send(make_request("POST", "/mcp", [("Content-Type", "application/json")], json.dumps(call("delete_note")).encode()))
                event = agent.wait_audit("session_blind")[0]
                self.assertIn("splice(2)", event["reason"])
                self.assertIs(event["killed"], on_blind == "kill")
                if on_blind == "kill":
                    self.assertEqual(server.process.wait(10), -signal.SIGKILL)
                else:
                    self.assertEqual(connection.read_response("POST").body, b"done")
                self.stop_agent(agent)

    def test_other_servers_are_left_alone(self):
        server = self.start(LINES)
        agent = self.agent({"example": policy(PYTHON_MATCH, denied="delete_note")})
        for _ in range(3):
            with HttpConnection(server.host) as connection:
                connection.send(json.dumps(call("delete_note")).encode() + b"\n")
                self.assertNotIn("_meta", json.loads(connection._until(b"\n"))["result"])
        self.assertEqual(agent.status()["kernel"]["holds"], 1, "it is asked once who reads there")


if __name__ == "__main__":
    main()
