"""What is not MCP on a governed port passes byte for byte, both ways: files, uploads, tunnels, other protocols."""
import hashlib
import re
import subprocess
import sys
import threading

from governed_http import *  # noqa: F403
from governed_http import (CPP_HTTP, PYTHON_HTTP, STARLETTE, HttpConnection, HttpEndToEnd, free_port, json, listening, main, make_request, policy,
                           time, wait_for)

MIB = 1 << 20
DATE = re.compile(rb"\r\nDate: [^\r]*\r\n")
UPLOAD = 50 * MIB


def raw(server, data, seconds=20):
    """Every byte that answers `data` on one connection; the client says that it has finished."""
    with HttpConnection(server.host, server.port, seconds=seconds) as connection:
        connection.send(data)
        connection.end()
        return DATE.sub(b"\r\nDate: D\r\n", connection.read_rest())


# MCP without HTTP: skips what it cannot parse, or says so where told to; the tool "slow" takes half a second.
LINE_SERVER = """
import json, socketserver, sys, time
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            try:
                message = json.loads(line)
            except ValueError:
                if len(sys.argv) > 2: self.wfile.write(b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"?"}}\\n')
                continue
            if "id" in message:
                if message.get("params", {}).get("name") == "slow": time.sleep(0.5)
                result = {"content": [{"type": "text", "text": "done"}]}
                self.wfile.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode() + b"\\n")
class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads, allow_reuse_address = True, True
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()  # lines_over_tcp
"""

QUESTION = b'{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{}}\n'
# Asks without reading an answer, until it cannot write for a second; says how many bytes that was.
FLOODING_SERVER = f"""
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))  # flood_over_tcp
connection, _ = listener.accept()
connection.recv(65536)
connection.settimeout(1)
written, questions = 0, 1000 * {QUESTION!r}
try:
    while written < 64 << 20: written += connection.send(questions[written % len(questions):])
except TimeoutError:
    pass
print(written)
"""


class Beside(HttpEndToEnd):
    def governed(self, spec=PYTHON_HTTP, **options):
        """A server, and a function that starts an agent under which no call is allowed."""
        return self.server(spec, **options), lambda: self.agent({"deny": policy(spec.match, default="deny")})

    def assert_governed(self, server):
        self.assert_denied(self.mcp(server).call("delete_note"), rule="(default deny)")


class TestHttp(Beside):
    def test_byte_for_byte(self):
        """Answers of every framing, and requests that no client would write so, come out as they went in."""
        server, govern = self.governed()
        odd = (b"GET /raw HTTP/1.1\r\nhOsT:   test  \r\nX-A:\t1\r\nx-a: 2\r\nAccept-Encoding: gzip;q=0.5, br\r\nX-Empty:\r\n"
               b"Connection: x-a\r\n\r\n")
        requests = [make_request("GET", path) for path in ("/health", "/file?bytes=100000", "/chunked?bytes=100000", "/gzip?bytes=100000",
                                                           "/until-close?bytes=100000", "/no/such/page", "/raw")]
        requests += [odd, make_request("HEAD", "/file?bytes=100"), make_request("POST", "/raw", [("Content-Type", "text/plain")], b"text"),
                     make_request("POST", "/raw", [("Transfer-Encoding", "chunked")]) + b"4\r\ntext\r\n0\r\n\r\n",
                     make_request("POST", "/raw", [("Content-Type", "application/json")], b'{"method":"eth_call","id":1}'),
                     make_request("POST", "/raw", [("Content-Type", "application/json")], b'[1, 2, {"a": "b"}]'),
                     make_request("POST", "/raw", [("Content-Type", "application/json")],
                                  b'{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}'),
                     make_request("PUT", "/raw", [("Content-Type", "image/png")], bytes(range(256)) * 40)]
        requests.append(b"".join(requests[:4]))
        direct = [raw(server, data) for data in requests]
        self.assertIn(odd, direct[7])
        govern()
        for data, expected in zip(requests, direct):
            with self.subTest(request=data[:60]):
                self.assertEqual(raw(server, data), expected)
        self.assert_governed(server)

    def test_a_large_upload(self):
        """50 MB with a length and in chunks, without growing the agent."""
        server, govern = self.governed()
        piece = hashlib.sha256(b"upload").digest() * (MIB // 32)
        expected = {"bytes": UPLOAD, "sha256": hashlib.sha256(piece * 50).hexdigest()}

        def upload(chunked):
            connection = self.connect(server, seconds=60)
            length = [("Transfer-Encoding", "chunked")] if chunked else [("Content-Length", str(UPLOAD))]
            connection.send(make_request("POST", "/upload", length))
            for _ in range(50):
                connection.send(b"100000\r\n%s\r\n" % piece if chunked else piece)
            if chunked:
                connection.send(b"0\r\n\r\n")
            return connection.read_response("POST").json()
        for chunked in (False, True):
            self.assertEqual(upload(chunked), expected)
        agent = govern()
        before = agent.resident_bytes()
        for chunked in (False, True):
            with watched(agent) as highest:
                self.assertEqual(upload(chunked), expected)
            self.assertLess(highest() - before, 16 * MIB)
        self.assert_governed(server)

    def test_a_large_download_by_a_slow_client(self):
        """The server is made to wait; the agent does not keep what the client has not read."""
        server, govern = self.governed()
        size = 100 * MIB

        def download(slowly):
            connection = self.connect(server)
            connection.send(make_request("GET", f"/file?bytes={size}"))
            digest, received = hashlib.sha256(), 0
            head = connection.read_head()
            pause = time.monotonic() + (1 if slowly else 0)
            while time.monotonic() < pause:
                slowly()
            while received < size:
                data = connection._exactly(min(MIB, size - received))
                digest.update(data)
                received += len(data)
            return head.status, digest.hexdigest()
        direct = download(None)
        agent = govern()
        before = agent.resident_bytes()

        def check():
            self.assertLess(agent.resident_bytes() - before, 16 * MIB)
        self.assertEqual(download(check), direct)
        self.assert_governed(server)


class watched:
    """The highest resident size of an agent while something happens."""

    def __init__(self, agent):
        self.agent, self.highest, self.stop = agent, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.stop.wait(0.005):
            self.highest = max(self.highest, self.agent.resident_bytes())

    def __enter__(self):
        self.thread.start()
        return lambda: self.highest

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


class TestTunnels(Beside):
    def exchange(self, server, opening):
        """An upgrade or CONNECT, then bytes both ways, big and small, that look like anything; then the end."""
        connection = self.connect(server)
        connection.send(opening)
        head = connection.read_head()
        echoed = []
        for data in (b"\x81\x05hello", b"POST /mcp HTTP/1.1\r\n\r\n", bytes(range(256)) * 4096, b'{"jsonrpc":"2.0"}'):
            connection.send(data)
            echoed.append(connection._exactly(len(data)))
        connection.end()
        return (head.status, [(n, v) for n, v in head.fields if n != "Date"]), echoed, connection.read_rest()

    def test_websocket_and_connect(self):
        server, govern = self.governed()
        openings = {
            "websocket": make_request("GET", "/websocket", [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
                                                            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]),
            "connect": b"CONNECT test:443 HTTP/1.1\r\nHost: test:443\r\n\r\n"}
        direct = {name: self.exchange(server, opening) for name, opening in openings.items()}
        self.assertEqual([answer[0][0] for answer in direct.values()], [101, 200])
        agent = govern()
        for name, opening in openings.items():
            with self.subTest(tunnel=name):
                self.assertEqual(self.exchange(server, opening), direct[name])
        self.assert_governed(server)
        # What has become a tunnel is said to be one.
        self.assertGreaterEqual(agent.status()["http"]["tunnels"], 2)


class TestOtherProtocols(Beside):
    def test_a_server_that_speaks_first(self):
        """Another listener of the same program, of a protocol in which the client waits for a greeting."""
        port = free_port()
        server, govern = self.governed(PYTHON_HTTP.with_options("--greeter", str(port)))

        def greeted():
            with HttpConnection("127.0.0.1", port, seconds=5) as connection:
                greeting = connection._until(b"\r\n")
                connection.send(b"hello\r\n")
                answer = connection._until(b"\r\n")
                connection.end()
                return greeting, answer, connection.read_rest()
        wait_for(lambda: port in listening(server.pid), "the greeter")
        direct = greeted()
        self.assertEqual(direct, (b"220 greetings\r\n", b"HELLO\r\n", b""))
        govern()
        self.assertEqual(greeted(), direct)
        self.assert_governed(server)

    def test_bytes_that_are_no_http(self):
        server, govern = self.governed(CPP_HTTP, logged=True)
        inputs = [b"\0\x01\x02" * 1000, b"{\"a\":1}\n" * 100, b"\xff\xfe\xfd"]
        for data in inputs:
            with HttpConnection(server.host, server.port) as connection:
                connection.send(data)
                wait_for(lambda: server.received().endswith(data), "the bytes at the server")
        before = len(server.received())
        govern()
        for data in inputs:
            with HttpConnection(server.host, server.port) as connection:
                connection.send(data)
                wait_for(lambda: server.received()[before:].endswith(data), "the bytes at the server")
        self.assertEqual(server.received()[before:], b"".join(inputs))
        self.assert_governed(server)

    def line_server(self, *options, program=LINE_SERVER):
        port = free_port()
        process = subprocess.Popen([sys.executable, "-c", program, str(port), *options], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        wait_for(lambda: port in listening(process.pid), "the server")
        return port, process

    def test_messages_on_lines(self):
        """A server of MCP without HTTP: governed as on stdio, also behind something that it skips."""
        agent = self.agent({"p": policy({"command": "*lines_over_tcp*"}, denied="delete_note")})
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "delete_note", "arguments": {}}}
        allowed = {**message, "id": 2, "params": {"name": "echo", "arguments": {}}}
        for options in ([], ["answers"]):
            port, process = self.line_server(*options)
            for before in (b"", b"x\n", b"EHLO there\r\n", b'{"a": 1}\n'):
                for cut in (0, 1, 30):
                    with self.case(options=options, before=before, cut=cut), HttpConnection("127.0.0.1", port) as connection:
                        text = before + b"".join(json.dumps(each).encode() + b"\n" for each in (message, allowed))
                        connection.send(text[:cut])
                        time.sleep(0.002)
                        connection.send(text[cut:])
                        answers = {}
                        while not {1, 2} <= answers.keys():
                            answer = json.loads(connection._until(b"\n"))
                            answers[answer["id"]] = answer
                        self.assert_denied(answers[1])
                        self.assert_result(answers[2])
        self.assertEqual(len(agent.wait_audit("message", decision="deny", count=24)), 24)
        self.assertTrue(all(each["conserved"] for each in agent.wait_audit("session_end", count=24)))
        with HttpConnection("127.0.0.1", port) as connection:  # one that goes on, and its server leaves
            connection.send(json.dumps(message).encode() + b"\n")
            self.assert_denied(json.loads(connection._until(b"\n")))
            self.assertEqual([each["listen"] for each in agent.sessions()], [f"127.0.0.1:{port}"])
            process.kill()
            self.assertEqual(connection.read_rest(), b"")

    def test_messages_on_lines_of_a_server_that_asks_without_reading(self):
        """It may not ask, and is told so; where it does not read that, it is read no further."""
        methods = {"sampling/createMessage": {"action": "deny"}}
        agent = self.agent({"p": policy({"command": "*flood_over_tcp*"}, methods=methods)})
        port, process = self.line_server(program=FLOODING_SERVER)
        with HttpConnection("127.0.0.1", port, seconds=20) as connection:
            connection.send(b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}\n')
            self.assertLess(int(process.communicate(timeout=30)[0]), 16 << 20)
            rest = connection.read_rest()
            self.assertTrue(QUESTION.startswith(rest) and rest != QUESTION, rest)  # at most the message that it ended in
        self.assertGreater(agent.wait_audit("session_end")[0]["frames"]["server_denied"], 1000)

    def test_messages_on_lines_that_pass_themselves_off_as_lsp(self):
        """A server of lines skips a header; whatever that says, the call behind or within what it announces is judged."""
        call = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "delete_note", "arguments": {}}}).encode()
        allowed = json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "echo", "arguments": {}}}).encode() + b"\n"
        lsp = b'{"jsonrpc":"2.0","id":3,"method":"initialize","params":{"processId":null,"rootUri":null,"capabilities":{}}}'
        wraps = b'{"jsonrpc":"2.0","id":3,"method":"initialize","params":{"processId":null,"capabilities":{"x":\n' + call + b"\n}}}"

        def announced(body, length=None, field=b"Content-Length", end=b"\r\n\r\n"):
            return b"%s: %d%s%s" % (field, len(body) if length is None else length, end, body)
        attacks = {
            "a short length": announced(call + b"\n", 5),
            "a long length": announced(call + b"\n", 100000),
            "its own length": announced(call + b"\n"),
            "behind an empty message": announced(b"{}") + b"\n" + call + b"\n",
            "behind a message of LSP": announced(lsp) + b"\n" + call + b"\n",
            "behind two": announced(lsp) + announced(lsp) + b"\n" + call + b"\n",
            "within a message of LSP": announced(wraps) + b"\n",
            "within the header": b"Content-Length: 2\r\n" + call + b"\r\n\r\n{}\n",
            "bare line feeds": announced(call + b"\n", 5, end=b"\n\n"),
            "another case": announced(call + b"\n", 5, b"content-LENGTH"),
            "another field first": b"Content-Type: application/vscode-jsonrpc\r\n" + announced(call + b"\n", 5),
            "an empty line first": b"\r\n" + announced(call + b"\n", 5),
            "a blank first": b" " + announced(call + b"\n", 5),
            "no number": b"Content-Length: x\r\n\r\n" + call + b"\n",
        }

        def is_executed(port, attack, cut=0):
            with HttpConnection("127.0.0.1", port, seconds=5) as connection:
                connection.send(attack[:cut])
                time.sleep(0.002)
                connection.send(attack[cut:] + allowed)
                connection.end()
                answers = [json.loads(line) for line in connection.read_rest().splitlines() if line.startswith(b"{")]
            return any(answer["id"] == 1 and "done" in json.dumps(answer) for answer in answers)
        ports = [self.line_server(*options)[0] for options in ([], ["answers"])]
        for name, attack in attacks.items():
            for port in ports:
                self.assertTrue(is_executed(port, attack), name)
        agent = self.agent({"p": policy({"command": "*lines_over_tcp*"}, denied="delete_note")})
        for name, attack in attacks.items():
            for port in ports:
                for cut in (0, 25):
                    with self.case(name=name, port=ports.index(port), cut=cut):
                        self.assertFalse(is_executed(port, attack, cut))
        self.assertTrue(all(each["conserved"] for each in agent.wait_audit("session_end")))

    def test_lines_end_between_messages_when_the_agent_stops(self):
        """What was asked is answered; then both sides see the end, and nobody a reset."""
        port, process = self.line_server()
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {}}}
        slow = {**message, "params": {"name": "slow", "arguments": {}}}
        agent = self.agent({"p": policy({"command": "*lines_over_tcp*"}, denied="delete_note")})
        with HttpConnection("127.0.0.1", port) as idle, HttpConnection("127.0.0.1", port) as busy:
            for connection in (idle, busy):
                connection.send(json.dumps(message).encode() + b"\n")
                self.assert_result(json.loads(connection._until(b"\n")))
            busy.send(json.dumps({**slow, "id": 2}).encode() + b"\n" + json.dumps({**slow, "id": 3}).encode() + b"\n")
            wait_for(lambda: sum(each["frames"]["in"] for each in agent.sessions()) == 4, "both calls are under way")
            ending = threading.Thread(target=lambda: self.stop_agent(agent))
            ending.start()
            self.assertEqual(idle.read_rest(), b"")
            self.assertEqual([json.loads(line)["id"] for line in busy.read_rest().splitlines()], [2, 3])
            ending.join()
        ends = agent.wait_audit("session_end", count=2)
        self.assertEqual(sorted(each["frames"]["forwarded"] for each in ends), [1, 3])

    def test_what_cannot_be_read(self):
        """TLS and HTTP/2: blind, with the reason; on_blind decides whether it passes."""
        hello = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03" + b"h" * 100
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"
        for on_blind in ("allow", "kill"):
            with self.case(on_blind=on_blind):
                server = self.server(CPP_HTTP, logged=True)
                agent = self.agent({"p": policy(CPP_HTTP.match, default="deny", on_blind=on_blind)})
                for number, data in enumerate((hello, preface), 1):
                    before = len(server.received())
                    with HttpConnection(server.host, server.port, seconds=5) as connection:
                        connection.send(data)
                        if on_blind == "allow":
                            wait_for(lambda: server.received()[before:] == data, "the bytes at the server")
                        else:
                            self.assertEqual(connection.read_rest(), b"")
                            self.assertEqual(server.received()[before:], b"")
                    events = agent.wait_audit("session_blind", count=number)
                    self.assertIn(("TLS", "HTTP/2")[number - 1], events[-1]["reason"])
                self.assert_governed(server)
                self.stop_agent(agent)


class TestPolicies(Beside):
    def test_a_path_limits_what_is_governed(self):
        server = self.server(PYTHON_HTTP)
        message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {}}}).encode()
        elsewhere = make_request("POST", "/raw", [("Content-Type", "application/json")], message)
        direct = raw(server, elsewhere)
        self.agent({"deny": policy({**PYTHON_HTTP.match, "path": "/mcp"}, default="deny")})
        self.assertEqual(raw(server, elsewhere), direct)
        self.assert_governed(server)
        with HttpConnection(server.host, server.port) as connection:
            for target in ("/mcp?x=/raw", "/raw/../mcp", "/%6d%63p", "/./mcp"):
                with self.subTest(target=target):
                    connection.send(make_request("POST", target, [("Content-Type", "application/json")], message))
                    self.assertIn(b"(default deny)", connection.read_response("POST").body)

    def test_a_path_as_its_server_reads_it(self):
        """To Starlette "/mcp%0A" is "/mcp": "$" in a pattern of Python's also stands before a last line feed."""
        server = self.server(STARLETTE)
        message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {}}}).encode()

        def post(target):
            with HttpConnection(server.host, server.port) as connection:
                connection.send(make_request("POST", target, [("Content-Type", "application/json")], message))
                return connection.read_response("POST").body
        self.assertIn(b"executed", post("/mcp%0A"))
        self.agent({"deny": policy({**STARLETTE.match, "path": "/mcp"}, default="deny")})
        for target in ("/mcp", "/mcp%0A", "/mcp%0a?x"):
            with self.subTest(target=target):
                self.assertIn(b"(default deny)", post(target))

    def test_a_listener_that_no_policy_names_is_not_touched(self):
        """Of two servers of one program, the policy names one by its address."""
        first, second = self.server(PYTHON_HTTP), self.server(PYTHON_HTTP)
        agent = self.agent({"deny": policy({"listen": f"127.0.0.1:{first.port}"}, default="deny")})
        self.assert_governed(first)
        self.assert_result(self.mcp(second).call("delete_note"))
        self.assertEqual(len(agent.wait_audit("message", method="tools/call", count=1)), 1)


if __name__ == "__main__":
    main()
