"""Many connections, many streams, and what they cost."""
import resource
import selectors

from governed_http import *  # noqa: F403
from governed_http import (CPP_HTTP, PYTHON, HttpConnection, HttpEndToEnd, HttpSpec, json, main, make_request, policy, socket, time)

KIB = 1024


def call(identifier, tool, **arguments):
    body = json.dumps({"jsonrpc": "2.0", "id": identifier, "method": "tools/call",
                       "params": {"name": tool, "arguments": arguments}}).encode()
    return make_request("POST", "/mcp", [("Content-Type", "application/json")], body)


class TestConnections(HttpEndToEnd):
    CONNECTIONS = 2000

    @classmethod
    def setUpClass(cls):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))

    def all_at_once(self, server, judged):
        """Opens every connection, then calls over each, allowed and denied in turns, then again; all stay open meanwhile."""
        connections = []
        for _ in range(self.CONNECTIONS):
            connection = HttpConnection(server.host, server.port, seconds=60)
            self.addCleanup(connection.close)
            connections.append(connection)
        for turn in range(2):
            for number, connection in enumerate(connections):
                connection.send(call(number, "delete_note" if (number + turn) % 2 else "echo", text=f"n{number}"))
            for number, connection in enumerate(connections):
                response = connection.read_response("POST")
                if (number + turn) % 2 and judged:
                    self.assert_denial(response, number)
                else:
                    answer = response.json()
                    self.assertEqual((answer["id"], answer["result"]["content"][0]["text"]),
                                     (number, "done" if (number + turn) % 2 else f"n{number}"))
        return connections

    def test_many_at_once(self):
        server = self.server(CPP_HTTP)
        for connection in self.all_at_once(server, judged=False):
            connection.close()
        agent = self.agent({"example": policy(CPP_HTTP.match, denied="delete_note")})
        idle = agent.resident_bytes()
        connections = self.all_at_once(server, judged=True)
        per_connection = (agent.resident_bytes() - idle) / self.CONNECTIONS
        print(f"resident: {per_connection / KIB:.1f} KiB more for each of {self.CONNECTIONS} connections")
        self.assertLess(per_connection, 64 * KIB)
        for connection in connections:
            connection.close()
        status = self.check_conservation(agent)
        self.assertEqual(status["frames"]["denied"], self.CONNECTIONS)
        self.assertEqual(status["frames"]["forwarded"], self.CONNECTIONS)

    def test_a_storm_of_short_connections(self):
        """One call each, 64 at a time; none refused, none unanswered."""
        server = self.server(CPP_HTTP)

        def storm(total, judged):
            selector, begun, done, waiting = selectors.DefaultSelector(), 0, 0, {}
            deadline = time.monotonic() + 60
            while done < total:
                while begun < total and len(waiting) < 64:
                    sock = socket.create_connection((server.host, server.port), 20)
                    sock.sendall(call(begun, "delete_note" if begun % 2 else "echo", text="t"))
                    waiting[sock] = (begun, b"")
                    selector.register(sock, selectors.EVENT_READ)
                    begun += 1
                for key, _ in selector.select(1):
                    sock = key.fileobj
                    number, got = waiting[sock]
                    data = sock.recv(65536)
                    self.assertTrue(data, f"no answer to {number}")
                    got += data
                    head, separator, body = got.partition(b"\r\n\r\n")
                    if not separator or len(body) < int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]):
                        waiting[sock] = (number, got)
                        continue
                    answer = json.loads(body)
                    self.assertEqual(answer["id"], number)
                    if number % 2 and judged:
                        self.assert_denied(answer)
                    else:
                        self.assert_result(answer)
                    selector.unregister(sock)
                    sock.close()
                    del waiting[sock]
                    done += 1
                self.assertLess(time.monotonic(), deadline)
        storm(1000, judged=False)
        agent = self.agent({"example": policy(CPP_HTTP.match, denied="delete_note")})
        storm(4000, judged=True)
        status = self.check_conservation(agent)
        self.assertEqual((status["frames"]["forwarded"], status["frames"]["denied"]), (2000, 2000))


class TestSlowSides(HttpEndToEnd):
    """Who does not read is waited for; the agent keeps no more than a bound of what nobody has read."""

    def bounded(self, agent, before, seconds=1):
        deadline, highest = time.monotonic() + seconds, 0
        while time.monotonic() < deadline:
            highest = max(highest, agent.resident_bytes() - before)
            time.sleep(0.01)
        self.assertLess(highest, 64 << 20)

    def test_a_client_that_does_not_read(self):
        """Pipelined calls with large answers, read only at the end."""
        server = self.server(CPP_HTTP)
        count, size = 100, 1 << 20
        requests = b"".join(call(n, "big", bytes=size) for n in range(count))

        def exchange(pause):
            connection = self.connect(server, seconds=60)
            connection.send(requests)
            pause()
            for number in range(count):
                answer = connection.read_response("POST").json()
                self.assertEqual((answer["id"], len(answer["result"]["content"][0]["text"])), (number, size))
        exchange(lambda: None)
        agent = self.agent({"example": policy(CPP_HTTP.match, denied="delete_note")})
        before = agent.resident_bytes()
        exchange(lambda: self.bounded(agent, before))
        self.assert_judged(agent, "tools/call", count=count)

    def test_a_client_that_only_sends_what_is_denied(self):
        server = self.server(CPP_HTTP)
        agent = self.agent({"example": policy(CPP_HTTP.match, denied="delete_note")})
        before = agent.resident_bytes()
        connection = self.connect(server, seconds=60)
        request, count = call(7, "delete_note", text="x" * 1000), 0
        many = memoryview(request * 100)
        connection.socket.setblocking(False)
        stuck = None
        while stuck is None or time.monotonic() < stuck + 0.5:  # until nothing has been taken for a while
            try:
                # A part of a request may be taken: the next piece goes on where this one ends.
                sent = connection.socket.send(many[count % len(request):])
                count, stuck = count + sent, None
            except BlockingIOError:
                stuck = stuck or time.monotonic()
                time.sleep(0.001)
            self.assertLess(count, 1 << 30, "the client was never made to wait")
        self.bounded(agent, before, 0.2)
        connection.socket.settimeout(60)
        for _ in range(count // len(request)):
            self.assert_denial(connection.read_response("POST"), 7)

    def test_a_server_that_does_not_read(self):
        """An upload to a server that is slow to take it; the client is made to wait."""
        script = ("import socket, sys, time\n"
                  "listener = socket.create_server(('127.0.0.1', int(sys.argv[2])))\n"
                  "connection, _ = listener.accept()\n"
                  "got = len(connection.recv(1000))\n"
                  "time.sleep(2)\n"
                  "while got < int(sys.argv[3]):\n"
                  "    got += len(connection.recv(1 << 20))\n"
                  "connection.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok')\n"
                  "connection.recv(1)\n")
        size = 100 << 20
        body_head = make_request("POST", "/upload", [("Content-Type", "application/octet-stream"), ("Content-Length", str(size))])
        spec = HttpSpec("slow", (PYTHON, "-c", script, "slow-server", "{port}", str(size + len(body_head))), {"command": "*slow-server*"},
                        (), (), ())
        agent = self.agent({"p": policy(spec.match, default="deny")})
        server = self.server(spec)
        before = agent.resident_bytes()
        connection = self.connect(server, seconds=60)
        connection.socket.setblocking(False)
        data = memoryview(body_head + b"u" * size)
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            try:
                data = data[connection.socket.send(data[:1 << 18]):]
            except BlockingIOError:
                time.sleep(0.01)
        self.assertGreater(len(data), size // 2, "the client was never made to wait")
        self.bounded(agent, before, 0.2)
        connection.socket.settimeout(60)
        connection.send(data)
        self.assertEqual(connection.read_response("POST").body, b"ok")


if __name__ == "__main__":
    main()
