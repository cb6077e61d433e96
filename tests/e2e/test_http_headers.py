"""What a request says of its body beside it: fields that must agree with it, encodings, types, and targets that must not hide it."""
import base64
import gzip
import zlib

from governed_http import *  # noqa: F403
from governed_http import MODERN_HTTP, PYTHON_HTTP, HttpEndToEnd, comparable, json, main, make_request, policy

MODERN_REVISION = "2026-07-28"


class TestHeaders(HttpEndToEnd):
    """The fields that revision 2026-07-28 puts beside the body must say what the body says."""

    def post(self, client, message, **changed):
        """The message with fields replaced (None: left out; a list: repeated)."""
        fields = []
        for name, value in client.fields(message):
            key = name.replace("-", "_").lower()
            if key in changed:
                value = changed.pop(key)
            fields += [(name, v) for v in (value if isinstance(value, list) else [value]) if v is not None]
        fields += [(name.replace("_", "-"), value) for name, value in changed.items()]
        return client.connection.request("POST", client.path, fields, json.dumps(message).encode())

    def test_disagreement_is_refused(self):
        server = self.server(PYTHON_HTTP, logged=True)
        agent = self.agent({"allow": policy(PYTHON_HTTP.match, denied="delete_note")})
        client = self.mcp(server, version=MODERN_REVISION)
        encoded = "=?base64?" + base64.b64encode(b"delete_note").decode() + "?="
        for number, changed in enumerate((
                {"mcp_name": "write_note"}, {"mcp_method": "tools/list"}, {"mcp_name": encoded},
                {"mcp_name": ["echo", "delete_note"]}, {"mcp_method": ["tools/call", "tools/list"]}, {"mcp_name": "=?base64?%%%?="})):
            with self.subTest(changed=changed):
                mark = f"header-mark-{number}"
                message = client.call_message("echo", {"text": mark}, identifier=50 + number)
                response = self.post(client, message, **changed)
                self.assertEqual(response.status, 400, response.body)
                if all(isinstance(value, str) for value in changed.values()):  # a field that is there twice is refused unread
                    answer = json.loads(response.body)
                    self.assertEqual((answer["error"]["code"], answer.get("id", 50 + number)), (-32020, 50 + number))
                self.assert_not_received(server, mark.encode())
                client.reconnect()
        agent.wait_audit("message", direction="c2s", decision="refuse", count=6)

    def test_agreement_in_base64(self):
        server = self.server(MODERN_HTTP)
        encoded = "=?base64?" + base64.b64encode(b"echo").decode() + "?="
        client = self.mcp(server, version=MODERN_REVISION)
        message = client.call_message("echo", identifier=1)
        direct = self.post(client, message, mcp_name=encoded)
        self.assertEqual(direct.status, 200)
        agent = self.agent({"allow": policy(MODERN_HTTP.match, denied="delete_note")})
        client = self.mcp(server, version=MODERN_REVISION)
        self.assertEqual(comparable(self.post(client, message, mcp_name=encoded)), comparable(direct))
        self.assert_judged(agent, "tools/call")
        denied = client.call_message("delete_note", identifier=2)
        encoded = "=?base64?" + base64.b64encode(b"delete_note").decode() + "?="
        self.assert_denial(self.post(client, denied, mcp_name=encoded), 2)

    def test_older_revisions_are_judged_by_the_body_alone(self):
        """Servers of before 2026-07-28 do not know these fields, so a lie in them must not help."""
        server = self.server(PYTHON_HTTP, logged=True)
        self.agent({"deny": policy(PYTHON_HTTP.match, denied="delete_note")})
        client = self.mcp(server)
        message = client.call_message("delete_note", {"mark": "lying-mark"}, identifier=1)
        response = self.post(client, message, Mcp_Method="tools/call", Mcp_Name="echo")
        self.assertIn(response.status, (200, 400))
        if response.status == 200:
            self.assert_denial(response, 1)
        self.assert_not_received(server, b"lying-mark")


class TestEncodings(HttpEndToEnd):
    FIELDS = [("Accept", "application/json, text/event-stream"), ("MCP-Protocol-Version", "2025-11-25")]

    @staticmethod
    def text(tool):
        return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": {"text": "a"}}}).encode()

    def test_what_cannot_be_read_is_refused(self):
        server = self.server(PYTHON_HTTP, logged=True)
        agent = self.agent({"deny": policy(PYTHON_HTTP.match, denied="delete_note")})
        text = self.text("delete_note")
        packed = gzip.compress(text)
        cases = {"br": ("application/json", "br", b"\x0b\x80" + text + b"\x03"),
                 "unknown coding": ("application/json", "aes128gcm", text),
                 "two codings": ("application/json", "gzip, br", packed),
                 "not gzip": ("application/json", "gzip", text),
                 "half of it": ("application/json", "gzip", packed[:-9]),
                 "more after it": ("application/json", "gzip", packed + text),
                 "utf-16": ("application/json; charset=utf-16le", None, text.decode().encode("utf-16-le")),
                 "latin-1": ("application/json; charset=latin1", None, text)}
        for name, (kind, coding, body) in cases.items():
            with self.subTest(case=name):
                client = self.mcp(server)
                fields = [("Content-Type", kind), *self.FIELDS, *([("Content-Encoding", coding)] if coding else [])]
                before = len(server.received())
                response = client.connection.request("POST", "/mcp", fields, body)
                self.assertIn(response.status, (400, 415), response.body)
                self.assertEqual(server.received()[before:], b"")
                client.close()
        self.assertGreaterEqual(agent.status()["frames"]["refused"], len(cases))

    def test_what_can_be_unpacked_is_judged(self):
        """The server gets what was judged, unpacked."""
        server = self.server(PYTHON_HTTP, logged=True)
        ways = {"gzip": gzip.compress, "x-gzip": gzip.compress, "deflate": zlib.compress}
        for coding, pack in ways.items():
            fields = [("Content-Type", "application/json"), *self.FIELDS, ("Content-Encoding", coding)]
            self.assertEqual(self.connect(server).request("POST", "/mcp", fields, pack(self.text("echo"))).status, 400)
        agent = self.agent({"deny": policy(PYTHON_HTTP.match, denied="delete_note")}, config={"frame_bytes_max": 1 << 20})
        for coding, pack in ways.items():
            with self.subTest(coding=coding):
                fields = [("Content-Type", "application/json"), *self.FIELDS, ("Content-Encoding", coding)]
                before = len(server.received())
                connection = self.connect(server)
                self.assert_denial(connection.request("POST", "/mcp", fields, pack(self.text("delete_note"))), 1)
                self.assertEqual(server.received()[before:], b"")
                response = connection.request("POST", "/mcp", fields, pack(self.text("echo")))
                self.assertEqual(response.json()["result"]["content"][0]["text"], "a")
                got = server.received()[before:]
                self.assertTrue(got.endswith(b"\r\n\r\n" + self.text("echo")), got)
                self.assertNotIn(b"content-encoding", got.lower())
                bomb = pack(b'{"a":"' + b"x" * (64 << 20) + b'"}')
                self.assertLess(len(bomb), 1 << 17)
                self.assertIn(self.connect(server).request("POST", "/mcp", fields, bomb).status, (400, 413, 415))
        self.assertLess(agent.resident_bytes(), 128 << 20)

    def test_the_content_type_does_not_hide_a_message(self):
        """The server of this test does not look at it, and others do not either."""
        server = self.server(PYTHON_HTTP, logged=True)
        self.agent({"deny": policy(PYTHON_HTTP.match, denied="delete_note")})
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                           "params": {"name": "delete_note", "arguments": {"a": "type-mark"}}}).encode()
        for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded", "application/octet-stream",
                     "APPLICATION/JSON", "application/json; charset=UTF-8", "application/vnd.api+json", "multipart/form-data", None):
            for space in (b"", b" \r\n\t"):
                with self.subTest(kind=kind, space=space):
                    connection = self.connect(server)
                    response = connection.request("POST", "/mcp", [("Content-Type", kind)] if kind else [], space + body)
                    self.assert_denial(response, 1)
        for method in ("PUT", "PATCH"):
            response = self.connect(server).request(method, "/mcp", [("Content-Type", "application/json")], body)
            self.assert_denial(response, 1)
        self.assert_not_received(server, b"type-mark")

    def test_every_path_is_governed(self):
        """A policy without `path` governs the whole listener, whatever the target looks like."""
        server = self.server(PYTHON_HTTP, logged=True)
        self.agent({"deny": policy(PYTHON_HTTP.match, denied="delete_note")})
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                           "params": {"name": "delete_note", "arguments": {"a": "path-mark"}}}).encode()
        for target in ("/mcp", "/mcp/", "/mcp?x=1", "/other", "//mcp", "/%6dcp", "/mcp;a", f"http://{server.authority}/mcp"):
            with self.subTest(target=target):
                connection = self.connect(server)
                connection.send(make_request("POST", target, [("Content-Type", "application/json")], body, host=server.authority))
                self.assert_denial(connection.read_response("POST"), 1)
        self.assert_not_received(server, b"path-mark")


if __name__ == "__main__":
    main()
