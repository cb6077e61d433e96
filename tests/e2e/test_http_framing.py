"""HTTP/1.1 itself: connections that stay and connections that end, pipelines, chunks, expectations, pieces of any size."""
import contextlib
import os
import socket

from governed_http import *  # noqa: F403
from governed_http import (CPP_HTTP, PYTHON_HTTP, PYTHON_HTTP_SSE, HttpEndToEnd, comparable, json, main, make_request, policy,
                           wait_for)

JSON_TYPE = [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")]
MIB = 1 << 20


def call(identifier, tool, **arguments):
    return json.dumps({"jsonrpc": "2.0", "id": identifier, "method": "tools/call",
                       "params": {"name": tool, "arguments": arguments}}).encode()


def post(body, *fields, version="HTTP/1.1"):
    return make_request("POST", "/mcp", [*JSON_TYPE, *fields], body).replace(b"HTTP/1.1", version.encode(), 1)


def chunked(body, size, *, trailer=b""):
    head = make_request("POST", "/mcp", [*JSON_TYPE, ("Transfer-Encoding", "chunked")])
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[at:at + size]), body[at:at + size]) for at in range(0, len(body), size))
    return head + chunks + b"0\r\n" + trailer + b"\r\n"


class Framing(HttpEndToEnd):
    def governed(self, spec=PYTHON_HTTP, **options):
        """A server, and a function that starts the agent over it once the direct half is done."""
        return self.server(spec, **options), lambda: self.agent({"example": policy(spec.match, denied="delete_note")})


class TestConnections(Framing):
    def test_many_requests_on_one_connection(self):
        server, govern = self.governed()

        def exchange():
            connection = self.connect(server)
            answers = []
            for number in range(100):
                connection.send(post(call(number, "echo", text=f"n{number}")))
                answers.append(comparable(connection.read_response("POST"), framing=True))
                answers.append(comparable(connection.request("GET", "/health"), framing=True))
            return answers
        direct = exchange()
        agent = govern()
        self.assertEqual(exchange(), direct)
        self.assert_judged(agent, "tools/call", count=100)

    def test_pipelines(self):
        """All at once, answered in order, denials and what is not MCP in between."""
        server, govern = self.governed()
        requests, wanted = b"", []
        for number in range(60):
            kind = ("echo", "delete_note", "health")[number % 3]
            wanted.append((kind, number))
            requests += make_request("GET", "/health") if kind == "health" else post(call(number, kind, text=str(number)))

        def exchange(denied):
            connection = self.connect(server)
            connection.send(requests)
            for kind, number in wanted:
                response = connection.read_response()
                if kind == "health":
                    self.assertEqual(response.body, b"ok\n")
                elif kind == "delete_note" and denied:
                    self.assert_denial(response, number)
                else:
                    self.assert_result(response.json())
                    self.assertEqual(response.json()["id"], number)
            connection.send(make_request("GET", "/health"))
            self.assertEqual(connection.read_response().body, b"ok\n")
        exchange(denied=False)
        govern()
        exchange(denied=True)

    def test_ends_of_connections(self):
        """Connection: close, HTTP/1.0 with and without keep-alive: who closes when is as without the agent."""
        server, govern = self.governed()
        cases = {"close": ([("Connection", "close")], "HTTP/1.1"), "keep": ([("Connection", "keep-alive")], "HTTP/1.1"),
                 "1.0": ([], "HTTP/1.0"), "1.0 keep-alive": ([("Connection", "keep-alive")], "HTTP/1.0")}

        def closes(data):
            connection = self.connect(server)
            connection.send(data)
            response = connection.read_response()
            connection.socket.settimeout(0.5)
            try:
                connection.wait_closed()
                return response, True
            except TimeoutError:
                return response, False
        direct = {}
        for name, (fields, version) in cases.items():
            for what, body in (("call", post(call(1, "echo", text="a"), *fields, version=version)),
                               ("health", make_request("GET", "/health", fields).replace(b"HTTP/1.1", version.encode()))):
                response, closed = closes(body)
                direct[name, what] = comparable(response), closed
        self.assertEqual({closed for _, closed in direct.values()}, {True, False})
        govern()
        for name, (fields, version) in cases.items():
            for what, body in (("call", post(call(1, "echo", text="a"), *fields, version=version)),
                               ("health", make_request("GET", "/health", fields).replace(b"HTTP/1.1", version.encode())),
                               ("denied", post(call(1, "delete_note"), *fields, version=version))):
                with self.subTest(case=name, what=what):
                    response, closed = closes(body)
                    if what == "denied":
                        self.assert_denial(response, 1)
                        self.assertEqual(closed, direct[name, "call"][1])
                    else:
                        self.assertEqual((comparable(response), closed), direct[name, what])

    def test_a_half_close_still_gets_its_answer(self):
        server, govern = self.governed()
        for governed in (False, True):
            if governed:
                govern()
            for tool in ("echo", "delete_note"):
                connection = self.connect(server)
                connection.send(post(call(1, tool, text="a")))
                connection.end()
                response = connection.read_response()
                if governed and tool == "delete_note":
                    self.assert_denial(response, 1)
                else:
                    self.assert_result(response.json())
                connection.wait_closed()

    def test_clients_that_go_away(self):
        """In the middle of a head, a body, an answer: nothing reaches the server, nothing stays, the next one is served."""
        server, govern = self.governed(logged=True)
        agent = govern()
        whole = post(call(1, "echo", text="gone-mark"))
        for cut in (10, 60, whole.index(b"\r\n\r\n") + 20, len(whole) - 1):
            connection = self.connect(server)
            connection.send(whole[:cut])
            connection.close()
        slow = self.connect(server)
        slow.send(post(call(1, "sleep", ms=300)))
        self.assert_judged(agent, "tools/call")
        slow.close()
        with self.mcp(server) as client:
            self.assert_result(client.call("echo", {"text": "a"}))
        self.assert_not_received(server, b"gone-mark")
        wait_for(lambda: not established(agent.pid, server.port), "the closed connections being gone", seconds=10)

    def test_a_server_that_closes(self):
        """Its end after an answer, and in the middle of one, arrive as such."""
        server, govern = self.governed()

        def exchange():
            connection = self.connect(server)
            connection.send(make_request("GET", "/until-close?bytes=100000"))
            head = connection.read_head()
            return comparable(head, framing=True), connection.read_rest()
        direct = exchange()
        self.assertEqual(len(direct[1]), 100000)
        agent = govern()
        self.assertEqual(exchange(), direct)
        connection = self.connect(server)
        connection.send(post(call(1, "sleep", ms=20000)))
        self.assert_judged(agent, "tools/call")
        server.kill()
        try:  # an answer of the agent's own, or the end: the client must not wait
            self.assertIn(connection.read_response("POST").status, (502, 504))
        except EOFError:
            pass

    def test_nobody_listens(self):
        """A port whose server has gone refuses connections, as it does without the agent."""
        server, govern = self.governed()
        govern()
        self.assert_denied(self.mcp(server).call("delete_note"))
        server.kill()
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection((server.host, server.port), 5)


def established(pid, port):
    """Connections of a process to or from a port, from /proc."""
    mine = set()
    for entry in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            mine.add(os.readlink(f"/proc/{pid}/fd/{entry}"))
    found = []
    for line in open(f"/proc/{pid}/net/tcp").read().splitlines()[1:]:
        words = line.split()
        if f"{port:04X}" in (words[1].split(":")[1], words[2].split(":")[1]) and words[3] != "0A" and f"socket:[{words[9]}]" in mine:
            found.append(words[1:4])
    return found


class TestBodies(Framing):
    def test_chunked_requests(self):
        server, govern = self.governed()
        body = call(1, "echo", text="chunked " * 20)
        inputs = [chunked(body, size) for size in (1, 7, 100, 10000)] + [chunked(body, 50, trailer=b"X-Trailer: a\r\n")]

        def exchange(data):
            connection = self.connect(server)
            connection.send(data)
            connection.send(make_request("GET", "/health"))
            return comparable(connection.read_response("POST")), connection.read_response().body
        direct = [exchange(data) for data in inputs]
        agent = govern()
        self.assertEqual([exchange(data) for data in inputs], direct)
        self.assert_judged(agent, "tools/call", count=len(inputs))
        for size in (1, 7, 10000):
            connection = self.connect(server)
            connection.send(chunked(call(2, "delete_note"), size))
            self.assert_denial(connection.read_response(), 2)

    def test_pieces_of_any_size(self):
        """A byte at a time, and cut in two at every place."""
        server, govern = self.governed(CPP_HTTP)
        data = {name: post(call(1, name, text="p" * 20)) for name in ("echo", "delete_note")}
        connection = self.connect(server)
        connection.send(data["echo"])
        direct = comparable(connection.read_response())
        govern()

        def check(name, pieces):
            connection = self.connect(server)
            for piece in pieces:
                connection.send(piece)
            response = connection.read_response()
            if name == "echo":
                self.assertEqual(comparable(response), direct)
            else:
                self.assert_denial(response, 1)
            connection.close()
        for name, request in data.items():
            check(name, [request[at:at + 1] for at in range(len(request))])
            for at in range(1, len(request)):
                check(name, [request[:at], request[at:]])
        small = chunked(call(1, "delete_note"), 13)
        check("delete_note", [small[at:at + 1] for at in range(len(small))])

    def test_expectations(self):
        """A client that waits for 100 gets it, allowed, denied, and beside MCP."""
        server, govern = self.governed()

        def exchange(body, target="/mcp"):
            connection = self.connect(server)
            head, _, rest = make_request("POST", target, [*JSON_TYPE, ("Expect", "100-continue")], body).partition(b"\r\n\r\n")
            connection.send(head + b"\r\n\r\n")
            first = connection.read_head()
            self.assertEqual(first.status, 100)
            connection.send(rest)
            response = connection.read_response("POST")
            self.assertEqual(connection.request("GET", "/health").body, b"ok\n")
            return response
        allowed, upload = call(1, "echo", text="a" * 100000), b"u" * 100000
        direct = comparable(exchange(allowed)), comparable(exchange(upload, "/upload"), framing=True)
        govern()
        self.assertEqual((comparable(exchange(allowed)), comparable(exchange(upload, "/upload"), framing=True)), direct)
        self.assert_denial(exchange(call(2, "delete_note", text="a" * 100000)), 2)

    def test_large_messages(self):
        for spec in (PYTHON_HTTP, PYTHON_HTTP_SSE):
            with self.case(server=spec.name):
                server, govern = self.governed(spec)
                client = self.mcp(server)
                direct = [client.call("echo", {"text": "m" * size}) for size in (MIB, 20 * MIB)]
                direct.append(client.call("big", {"bytes": 20 * MIB}))
                agent = govern()
                client = self.mcp(server)
                self.assertEqual(client.call("echo", {"text": "m" * MIB})["result"], direct[0]["result"])
                self.assertEqual(client.call("echo", {"text": "m" * 20 * MIB})["result"], direct[1]["result"])
                self.assertEqual(client.call("big", {"bytes": 20 * MIB})["result"], direct[2]["result"])
                self.assert_denied(client.call("delete_note", {"text": "m" * 20 * MIB}))
                self.stop_agent(agent)

    def test_more_than_the_limit(self):
        server = self.server(PYTHON_HTTP, logged=True)
        body = call(1, "echo", text="over-mark" * 20000)
        self.assert_result(self.mcp(server).post(body).json())
        before = len(server.received())
        agent = self.agent({"example": policy(PYTHON_HTTP.match)}, config={"frame_bytes_max": 65536})
        for data in (post(body), chunked(body, 5000)):
            connection = self.connect(server)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.send(data)
            with contextlib.suppress(EOFError, ConnectionResetError):  # closing before all is read may cost the answer
                self.assertEqual(connection.read_response("POST").status, 413)
        self.assertNotIn(b"over-mark", server.received()[before:])
        self.assertGreaterEqual(agent.status()["frames"]["refused"], 2)
        self.assert_result(self.mcp(server).call("echo", {"text": "still here"}))


class TestOtherMethods(Framing):
    def test_other_methods(self):
        """HEAD has no body whatever its length says; OPTIONS, unknown methods and 304-like answers pass."""
        server, govern = self.governed()

        def exchange():
            connection = self.connect(server)
            answers = []
            for method, target in (("HEAD", "/file?bytes=5000"), ("GET", "/health"), ("HEAD", "/health"), ("GET", "/gzip?bytes=5000"),
                                   ("GET", "/chunked?bytes=5000"), ("GET", "/health")):
                connection.send(make_request(method, target))
                answers.append(comparable(connection.read_response(method), framing=True))
            connection.send(make_request("OPTIONS", "/mcp"))  # this server knows no OPTIONS
            answers.append(comparable(connection.read_response(), framing=True))
            return answers
        direct = exchange()
        self.assertEqual(direct[-1][0], 501)
        govern()
        self.assertEqual(exchange(), direct)
        self.assert_denied(self.mcp(server).call("delete_note"))


if __name__ == "__main__":
    main()
