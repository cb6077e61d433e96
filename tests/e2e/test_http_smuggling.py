"""Requests that two parsers could read differently: 400 (or what says it better) and a record, and not one byte of them at
the server, which logs everything that it receives."""
import contextlib

from governed_http import *  # noqa: F403
from governed_http import (CPP_HTTP, PYTHON, PYTHON_HTTP, ROOT, HttpConnection, HttpEndToEnd, HttpSpec, json, main, make_request, policy,
                           wait_for)

MARK = b"smuggled-mark"
# Good requests whose body a server that leaves it unread would take for the next one: refused, not passed.
HIDING = {"body_that_looks_like_a_request"}
DENIED = json.dumps({"jsonrpc": "2.0", "id": 66, "method": "tools/call",
                     "params": {"name": "delete_note", "arguments": {"a": MARK.decode()}}}).encode()
AFTER = b"GET /after-mark HTTP/1.1\r\nHost: a\r\n\r\n"


def corpus():
    for line in (ROOT / "tests" / "corpus" / "http_requests.jsonl").read_text().splitlines():
        case = json.loads(line)
        parts = case["input"] if isinstance(case["input"], list) else [case["input"]]
        case["bytes"] = b"".join(p.encode("latin-1") if isinstance(p, str) else p[0].encode("latin-1") * p[1] for p in parts)
        yield case


def everything(server, data, pieces=None, seconds=5):
    """What comes back until the other side closes, or for a short while where it does not."""
    with HttpConnection(server.host, server.port, seconds=seconds) as connection:
        for piece in pieces or [data]:
            try:
                connection.send(piece)
            except (BrokenPipeError, ConnectionResetError):
                break
        with contextlib.suppress(OSError):
            connection.end()
        return connection.read_rest()


def post(*lines, body=DENIED):
    return b"\r\n".join([b"POST /mcp HTTP/1.1", *lines, b"", b""]) + body


def smuggled():
    """Ways to bring a denied call past a reader: {name: bytes}. Each holds MARK."""
    length = b"Content-Length: %d" % len(DENIED)
    inner = post(b"Host: a", length)
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(DENIED), DENIED)
    chunked = b"Transfer-Encoding: chunked"
    harmless = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    yield "length and chunked", post(b"Host: a", b"Content-Length: 6", chunked, body=b"0\r\n\r\nG" + inner)
    yield "chunked and length", post(b"Host: a", chunked, b"Content-Length: %d" % len(chunk), body=chunk)
    yield "short length, then a request", post(b"Host: a", b"Content-Length: 0", length)
    yield "two lengths", post(b"Host: a", length, b"Content-Length: %d" % len(harmless))
    yield "a list of lengths", post(b"Host: a", b"Content-Length: %d, %d" % (len(DENIED), len(DENIED)))
    yield "length with a sign", post(b"Host: a", b"Content-Length: +%d" % len(DENIED))
    yield "length in hexadecimal", post(b"Host: a", b"Content-Length: 0x%x" % len(DENIED))
    yield "length with a space in it", post(b"Host: a", b"Content-Length: %s 0" % str(len(DENIED)).encode())
    for name, value in (("unknown coding", b"xchunked"), ("two codings", b"chunked, identity"), ("identity first", b"identity, chunked"),
                        ("a vertical tab", b"\x0bchunked"), ("quoted", b'"chunked"'), ("gzip", b"gzip, chunked"), ("twice", b"chunked, chunked")):
        yield f"coding: {name}", post(b"Host: a", b"Transfer-Encoding: " + value, body=chunk)
        yield f"coding and length: {name}", post(b"Host: a", b"Transfer-Encoding: " + value, length)
    yield "two coding fields", post(b"Host: a", chunked, b"Transfer-Encoding: identity", body=chunk)
    yield "chunked in 1.0", post(b"Host: a", chunked, body=chunk).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    yield "space before the colon", post(b"Host: a", b"Content-Length : %d" % len(DENIED))
    yield "space before the coding's colon", post(b"Host: a", b"Transfer-Encoding : chunked", body=chunk)
    yield "folded line", post(b"Host: a", b"X-A: b", b" c: d", length)
    yield "folded coding", post(b"Host: a", b"Transfer-Encoding:", b" chunked", body=chunk)
    yield "space before the first field", post(b" Host: a", length)
    yield "bare LF", post(b"Host: a", length).replace(b"\r\n", b"\n")
    yield "one bare LF", post(b"Host: a\nX: y", length)
    yield "a bare CR", post(b"Host: a\rX: y", length)
    yield "NUL in a value", post(b"Host: a", b"X: a\0b", length)
    yield "control character in a name", post(b"Host: a", b"X\x01: a", length)
    yield "a name in UTF-8", post(b"Host: a", "Content\u2011Length: 5".encode(), length)
    yield "no name", post(b"Host: a", b": a", length)
    yield "no colon", post(b"Host: a", b"nonsense", length)
    yield "underscore", post(b"Host: a", b"Content_Length: 5", length)
    yield "no host", post(length)
    yield "two hosts", post(b"Host: a", b"Host: b", length)
    yield "a host with a path", post(b"Host: a/b", length)
    yield "another authority", post(b"Host: a", length).replace(b"POST /mcp", b"POST http://b/mcp", 1)
    yield "an unknown version", post(b"Host: a", length).replace(b"HTTP/1.1", b"HTTP/1.9", 1)
    yield "version 2", post(b"Host: a", length).replace(b"HTTP/1.1", b"HTTP/2.0", 1)
    yield "no version", post(b"Host: a", length).replace(b" HTTP/1.1", b"", 1)
    yield "two spaces", post(b"Host: a", length).replace(b"POST /mcp", b"POST  /mcp", 1)
    yield "a tab in the request line", post(b"Host: a", length).replace(b"POST /mcp", b"POST\t/mcp", 1)
    yield "a space in the target", post(b"Host: a", length).replace(b"/mcp", b"/m cp", 1)
    for name, body in (("a sign in a chunk size", b"+" + chunk), ("0x in a chunk size", b"0x" + chunk), ("a space in a chunk size", b" " + chunk),
                       ("a huge chunk size", b"1" * 17 + chunk), ("no size", b"\r\n" + chunk), ("a chunk line with LF", chunk.replace(b"\r\n", b"\n", 1)),
                       ("rubbish after a chunk", chunk.replace(b"\r\n0\r\n", b"XX0\r\n")), ("LF in an extension", chunk.replace(b"\r\n", b";a\nb\r\n", 1)),
                       ("NUL in an extension", chunk.replace(b"\r\n", b";\0\r\n", 1)), ("LF in the trailer", chunk[:-2] + b"A: b\n\r\n"),
                       ("a negative chunk size", b"-1\r\n" + chunk), ("an underscore in a chunk size", b"1_0\r\n" + chunk)):
        yield name, post(b"Host: a", chunked, body=body)
    yield "a long head", post(b"Host: a", b"X: " + b"y" * 100000, length)
    yield "many fields", post(b"Host: a", *[b"X-%d: y" % n for n in range(3000)], length)
    yield "a long target", post(b"Host: a", length).replace(b"/mcp", b"/" + b"m" * 70000, 1)
    yield "a second one in the body of a GET", b"GET /x HTTP/1.1\r\nHost: a\r\n" + length + b"\r\n\r\n" + DENIED
    yield "in the body of a GET", b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(inner) + inner
    yield "in the body of a CONNECT", b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: %d\r\n\r\n" % len(inner) + inner
    for name, before in (("", b""), (", behind rubbish", b"hello\r\n\r\n"), (", behind an empty line", b"\r\n")):
        data = before + inner
        yield "in the body of a HEAD" + name, b"HEAD /health HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(data) + data
        yield "in the chunks of an upload" + name, (b"PUT /raw HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
                                                   % (len(data), data))
    yield "behind TLS", b"\x16\x03\x01\x00\x05\r\n\r\n" + inner
    yield "behind the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + inner
    yield "behind a CONNECT", b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n" + inner
    yield "behind a good one", post(b"Host: a", b"Content-Length: %d" % len(harmless), body=harmless) + inner
    yield "behind a bad one", post(b"Host: a", b"Content-Length: x", body=b"") + inner
    yield "behind a HEAD", b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + inner
    for name, before in (("a word", b"hello"), ("a method alone", b"GET"), ("a NUL", b"\0"), ("an object", b"{}"), ("an answer", b"HTTP/1.1 200 OK"),
                         ("a line of another protocol", b"EHLO mail.example")):
        yield f"behind {name}", before + b"\r\n\r\n" + inner
        yield f"without a version, behind {name}", before + b"\r\n\r\n" + inner.replace(b" HTTP/1.1", b"", 1)
    yield "an upgrade to HTTP/2", post(b"Host: a", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAA", length)
    yield "an upgrade that is not taken", post(b"Host: a", b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 0", body=inner)


class Smuggling(HttpEndToEnd):
    def govern(self, spec=CPP_HTTP):
        return self.agent({"deny": policy(spec.match, denied="delete_note")})

    def settle(self, server):
        """Everything that was sent before has been read by now: the server answers one more request."""
        with HttpConnection(server.host, server.port) as connection:
            self.assertEqual(connection.request("GET", "/health").status, 200)


class TestCorpus(Smuggling):
    def test_what_is_refused_is_not_delivered(self):
        """Of a stream with something wrong in it, the server reads no more than the good requests before it."""
        server = self.server(CPP_HTTP, logged=True)
        everything(server, AFTER)
        self.assert_received(server, b"after-mark")
        agent = self.govern()
        refused = [case for case in corpus() if case["end"] == "refused"]
        self.assertGreater(len(refused), 200)
        for case in refused:
            with self.subTest(case=case["name"]):
                before = len(server.received())
                answer = everything(server, case["bytes"] + AFTER)
                self.settle(server)
                got = server.received()[before:].removesuffix(b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n")
                self.assertEqual(case["bytes"][:len(got)], got)
                self.assertLessEqual(len(got), case["offset"])
                self.assertIn(b"HTTP/1.1 %d " % case["status"], answer[answer.rfind(b"HTTP/1.1 "):])
        self.assertGreaterEqual(agent.status()["frames"]["refused"], len(refused))

    def test_what_is_accepted_is_delivered(self):
        """A stream that is good and no MCP is read by the server as it was sent, but for empty lines before a request; one
        that is MCP with the body that it had."""
        def without_empty_lines(data):
            return data.lstrip(b"\r\n").replace(b"\r\n\r\n\r\n", b"\r\n\r\n")
        server = self.server(CPP_HTTP, logged=True)
        self.govern()
        checked = 0
        for case in corpus():
            if case["end"] != "complete" or not case["requests"] or case["requests"][0]["method"] == "CONNECT" or case["name"] in HIDING:
                continue
            checked += 1
            is_mcp = any("jsonrpc" in request["body"] for request in case["requests"])
            expected = case["requests"][-1]["body"].encode("latin-1") if is_mcp else without_empty_lines(case["bytes"])
            with self.subTest(case=case["name"]), HttpConnection(server.host, server.port) as connection:
                before = len(server.received())
                connection.send(case["bytes"])
                connection.end()
                got = wait_for(lambda: (data := without_empty_lines(server.received()[before:])) and len(data) >= len(expected) and data,
                               f"{case['name']} at the server", seconds=5)
                if is_mcp:
                    self.assertTrue(got.endswith(expected), got)
                else:
                    self.assertEqual(got, expected)
        self.assertGreater(checked, 40)

    def test_what_could_hide_a_request_is_not_delivered(self):
        server = self.server(CPP_HTTP, logged=True)
        agent = self.govern()
        cases = [case for case in corpus() if case["name"] in HIDING]
        self.assertEqual(len(cases), len(HIDING))
        for case in cases:
            with self.subTest(case=case["name"]):
                before = len(server.received())
                self.assertTrue(everything(server, case["bytes"]).startswith(b"HTTP/1.1 400 "))
                self.settle(server)
                self.assertEqual(server.received()[before:], b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n")
        self.assertEqual(agent.status()["frames"]["refused"], len(cases))


class TestDeniedCalls(Smuggling):
    def test_no_way_past(self):
        """Directly, each of these bytes reaches the server; through the agent, none of the denied call does."""
        server = self.server(CPP_HTTP, logged=True)
        ways = dict(smuggled())
        for name, data in ways.items():
            before = len(server.received())
            everything(server, data, seconds=1)
            wait_for(lambda: MARK in server.received()[before:], f"{name} at the server")
        agent = self.govern()
        for name, data in ways.items():
            with self.subTest(way=name):
                before = len(server.received())
                answer = everything(server, data)
                self.settle(server)
                self.assertNotIn(MARK, server.received()[before:])
                self.assertNotIn(b'"done"', answer)
                self.assertTrue(b"HTTP/1.1 4" in answer or b"HTTP/1.1 5" in answer or b"[POLICY DENIED]" in answer or answer == b"", answer[:300])
        self.assertGreater(agent.status()["frames"]["denied"], 3)

    def test_no_way_past_in_pieces(self):
        """The same, cut in two in many places, and a few bytes at a time."""
        server = self.server(CPP_HTTP, logged=True)
        everything(server, post(b"Host: a", b"Content-Length: %d" % len(DENIED)))
        self.assert_received(server, MARK)
        self.govern()
        for name, data in smuggled():
            if len(data) > 2000:
                continue
            with self.subTest(way=name):
                before = len(server.received())
                for at in range(1, len(data), 11):
                    everything(server, data, pieces=[data[:at], data[at:]])
                everything(server, data, pieces=[data[at:at + 5] for at in range(0, len(data), 5)])
                self.settle(server)
                self.assertNotIn(MARK, server.received()[before:])

    def test_a_lenient_server(self):
        """Python's http.server takes much of this: nothing of it is executed."""
        server = self.server(PYTHON_HTTP, logged=True)
        taken = [name for name, data in smuggled() if b'"done"' in everything(server, data)]
        self.assertGreater(len(taken), 10, taken)
        self.govern(PYTHON_HTTP)
        before = len(server.received())
        for name, data in smuggled():
            with self.subTest(way=name):
                self.assertNotIn(b'"done"', everything(server, data))
        self.assertNotIn(MARK, server.received()[before:])


class TestResponses(HttpEndToEnd):
    """A server whose responses could be read in two ways must not make the next client read another's answer."""

    def test_a_response_with_two_lengths(self):
        agent = self.agent({"p": policy({"command": "*two-lengths*"}, denied="delete_note")})
        script = ("import socket, sys\n"
                  "listener = socket.create_server(('127.0.0.1', int(sys.argv[2])))\n"
                  "while True:\n"
                  "    connection, _ = listener.accept()\n"
                  "    connection.recv(65536)\n"
                  "    body = b'{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}'\n"
                  "    connection.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: 3\\r\\n'\n"
                  "                       b'Content-Length: %d\\r\\n\\r\\n%s' % (len(body), body))\n"
                  "    connection.close()\n")
        spec = HttpSpec("two-lengths", (PYTHON, "-c", script, "two-lengths", "{port}"), {}, (), (), ())
        server = self.server(spec)
        answer = everything(server, make_request("POST", "/mcp", [("Content-Type", "application/json")],
                                                 b'{"jsonrpc":"2.0","id":1,"method":"ping"}'))
        self.assertTrue(answer.startswith(b"HTTP/1.1 502 "), answer)
        self.assert_judged(agent, "ping")


if __name__ == "__main__":
    main()
