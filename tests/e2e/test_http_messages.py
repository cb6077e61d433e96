"""Messages over HTTP, one by one: what passes passes byte for byte, what is denied is answered in the shape that the
revision and the request ask for, and does not reach the server."""
from governed_http import *  # noqa: F403
from governed_http import (CPP_HTTP, EVERYTHING_HTTP, HTTP_SPECS, LIMITED, PYTHON, PYTHON_HTTP, PYTHON_HTTP_SSE, HttpEndToEnd, HttpSpec, comparable,
                           events_of, json, main, policy, policy_for)

REVISIONS = ("2025-03-26", "2025-06-18", "2025-11-25")
MODERN_REVISION = "2026-07-28"


def revisions(spec):
    return (*REVISIONS, MODERN_REVISION) if spec.modern else REVISIONS


class TestShown(HttpEndToEnd):
    def test_people_are_told_of_listeners(self):
        server = self.server(PYTHON_HTTP)
        agent = self.agent({"allow": policy(PYTHON_HTTP.match)})
        self.mcp(server).call("echo", {"text": "x"})
        self.assertRegex(agent.command("status").stdout, rf"listener +127\.0\.0\.1:{server.port}  .*policy allow ")
        self.assertRegex(agent.command("sessions").stdout, rf"listen 127\.0\.0\.1:{server.port}  policy allow ")


class TestIdentity(HttpEndToEnd):
    def transcript(self, server, version):
        """Every response of a session, in what must not differ."""
        client = self.mcp(server, version=version, initialize=False)
        responses = []
        if not client.modern:
            message = client.message("initialize", {"protocolVersion": version, "capabilities": {},
                                                    "clientInfo": {"name": "harness", "version": "1.0.0"}}, identifier=0)
            responses.append(client.post(message))
            client.session, client.initialized = responses[0].field("Mcp-Session-Id"), True
            responses.append(client.notify("notifications/initialized"))
        responses.append(client.post(client.message("tools/list", identifier="caf\u00e9 \" b")))
        responses.append(client.post(client.call_message(*server.spec.allowed, identifier=9007199254740991)))
        responses.append(client.post(client.message("no/such/method", identifier=2)))
        responses.append(client.post(client.call_message("no such tool", identifier=3)))
        if client.session:
            responses.append(client.delete())
        return [comparable(response) for response in responses]

    def test_identical_under_an_allow_policy(self):
        for spec in HTTP_SPECS:
            with self.case(server=spec.name):
                server = self.server(spec)
                direct = {version: self.transcript(server, version) for version in revisions(spec)}
                agent = self.agent({"allow": policy(spec.match)})
                for version, expected in direct.items():
                    with self.subTest(revision=version):
                        self.assertEqual(self.transcript(server, version), expected)
                self.assert_judged(agent, "tools/call", count=2 * len(direct))
                self.assert_judged(agent, "no/such/method", count=len(direct))
                self.stop_agent(agent)

    def test_the_server_gets_the_body_that_was_judged(self):
        """Spaces, key order and escapes of the body reach the server as they were written."""
        body = (b'  {"params": {"arguments":{"text":"\\u0041\\/\\uD83D\\uDE00 \xc3\xa9"} ,"name":"echo"},\n\t"id":1,'
                b'"jsonrpc":"2.0","method":"tools/call"}\r\n ')
        server = self.server(PYTHON_HTTP, logged=True)
        direct = self.mcp(server).post(body)
        self.assert_received(server, body)
        before = len(server.received())
        agent = self.agent({"allow": policy(PYTHON_HTTP.match)})
        client = self.mcp(server)
        self.assertEqual(comparable(client.post(body)), comparable(direct))
        self.assertIn(body, server.received()[before:])
        self.assert_judged(agent, "tools/call")

    def test_the_head_that_the_server_sees(self):
        """The client's fields in their order; only what frames the message, and the accepted encodings, may be other."""
        rewritten = {"accept-encoding", "content-length", "transfer-encoding", "connection"}

        def seen(server):
            client = self.mcp(server)
            message = client.call_message("request_head", identifier=1)
            fields = [*client.fields(message), ("X-Odd", "a, b;c=\"d\""), ("Accept-Encoding", "gzip, br"), ("X-Twice", "1"),
                      ("x-twice", "2"), ("Authorization", "Bearer abc"), ("Cookie", "a=b")]
            response = client.connection.request("POST", "/mcp?a=%20b&c", fields, json.dumps(message).encode())
            saw = json.loads(json.loads(response.body)["result"]["content"][0]["text"])
            session = client.session
            return ([(n, "S" if v == session else v) for n, v in saw["head"] if n.lower() not in rewritten],
                    [v for n, v in saw["head"] if n.lower() == "accept-encoding"], saw["peer"])
        server = self.server(PYTHON_HTTP)
        head, encodings, peer = seen(server)
        self.assertEqual((encodings, peer[0]), (["gzip, br"], "127.0.0.1"))
        self.agent({"allow": policy(PYTHON_HTTP.match)})
        governed_head, governed_encodings, governed_peer = seen(server)
        self.assertEqual(governed_head, head)
        self.assertEqual(governed_encodings, ["identity"])
        self.assertEqual(governed_peer[0], "127.0.0.1")


class TestDenials(HttpEndToEnd):
    def test_each_revision(self):
        for spec in HTTP_SPECS:
            for version in revisions(spec):
                with self.case(server=spec.name, revision=version):
                    server = self.server(spec)
                    self.assert_result(self.mcp(server, version=version).call(*spec.allowed))
                    agent = self.agent({"example": policy_for(spec, tools={"hidden": {}}, hide=["hidden"])})
                    client = self.mcp(server, version=version)
                    message = client.call_message(*spec.denied, identifier="deny \u00e9 me")
                    response = client.post(message)
                    self.assert_denial(response, "deny \u00e9 me", rule=f"/tools/{spec.denied[0]}/deny_if",
                                       reason="Requires human approval.")
                    self.assertEqual(response.field("Mcp-Session-Id"), client.session)
                    if client.modern:
                        self.assertEqual(json.loads(response.body)["result"]["resultType"], "complete")
                    for _ in range(2):
                        self.assert_result(client.call(*spec.limited))
                    response = client.post(client.call_message(*spec.limited, identifier=7))
                    decision = self.assert_denial(response, 7, code=LIMITED, rule=f"/tools/{spec.limited[0]}/limits")
                    self.assertLessEqual(decision["retryAfterMs"], 86400_000)
                    self.assert_denial(client.post(client.call_message("hidden", identifier=8)), 8, rule="(hidden)")
                    self.assert_result(client.call(*spec.allowed))
                    calls = agent.wait_audit("message", count=6, direction="c2s", method="tools/call")
                    self.assertEqual([r["decision"] for r in calls], ["deny", "allow", "allow", "deny", "deny", "allow"])
                    self.stop_agent(agent)

    def test_a_denied_call_does_not_reach_the_server(self):
        server = self.server(PYTHON_HTTP, logged=True)
        client = self.mcp(server)
        self.assert_result(client.call("delete_note", {"mark": "direct-mark"}))
        self.assert_received(server, b"direct-mark")
        self.agent({"deny": policy(PYTHON_HTTP.match, denied="delete_note")})
        client = self.mcp(server)
        for identifier in range(20):
            message = client.call_message("delete_note", {"mark": "governed-mark"}, identifier)
            self.assert_denial(client.post(message), identifier)
        self.assert_result(client.call("echo", {"text": "allowed-mark"}))
        self.assert_received(server, b"allowed-mark")
        self.assert_not_received(server, b"governed-mark")

    def test_a_client_that_accepts_only_events(self):
        server = self.server(PYTHON_HTTP_SSE)
        direct = self.mcp(server, accept="text/event-stream")
        self.assert_result(direct.call("delete_note"))
        self.agent({"deny": policy(PYTHON_HTTP.match, denied="delete_note")})
        client = self.mcp(server, accept="text/event-stream")
        response = client.post(client.call_message("delete_note", identifier=4))
        self.assertEqual((response.status, response.field("Content-Type").split(";")[0]), (200, "text/event-stream"))
        events = events_of(response.body)
        self.assertEqual([event.name for event in events], ["message"])
        self.assertEqual(events[0].json()["id"], 4)
        self.assert_denied(events[0].json())
        self.assert_result(client.call("echo", {"text": "on the same connection"}))

    def test_a_denied_notification(self):
        """A tools/call without an id would be executed by some servers; nobody waits for an answer to it."""
        server = self.server(PYTHON_HTTP, logged=True)
        notification = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "delete_note", "arguments": {"a": "note-mark"}}}
        self.assertEqual(self.mcp(server).post(notification).status, 202)
        self.assert_received(server, b"note-mark")
        before = len(server.received())
        agent = self.agent({"deny": policy(PYTHON_HTTP.match, denied="delete_note")})
        client = self.mcp(server)
        response = client.post(notification)
        self.assertEqual((response.status, response.body), (202, b""))
        self.assert_result(client.call("echo", {"text": "after"}))
        self.assertNotIn(b"note-mark", server.received()[before:])
        records = agent.wait_audit("message", direction="c2s", kind="notification", decision="deny")
        self.assertEqual(records[0]["tool"], "delete_note")

    def test_default_deny_and_errors(self):
        server = self.server(PYTHON_HTTP)
        self.mcp(server).call("echo", {"text": "a"})
        self.agent({"deny": policy(PYTHON_HTTP.match, default="deny", tools={"echo": {}}, deny_as="error")})
        client = self.mcp(server)
        self.assert_result(client.call("echo", {"text": "a"}))
        response = client.post(client.call_message("big", {"bytes": 1}, identifier=3))
        self.assertEqual(response.status, 200)
        answer = json.loads(response.body)
        self.assertEqual((set(answer), answer["id"], answer["error"]["code"]), ({"jsonrpc", "id", "error"}, 3, -31403))


class TestHiddenTools(HttpEndToEnd):
    def test_lists_are_filtered_and_nothing_else_changes(self):
        """In a JSON answer and in events; the bytes around the hidden tool stay."""
        for spec in HTTP_SPECS:
            for version in revisions(spec)[-2:]:
                with self.case(server=spec.name, revision=version):
                    server = self.server(spec)
                    client = self.mcp(server, version=version)
                    direct = client.post(client.message("tools/list", identifier=1)).json()
                    hidden = [spec.denied[0], direct["result"]["tools"][-1]["name"]]
                    agent = self.agent({"hide": policy(spec.match, hide=hidden)})
                    client = self.mcp(server, version=version)
                    response = client.post(client.message("tools/list", identifier=1))
                    expected = json.loads(json.dumps(direct))
                    expected["result"]["tools"] = [t for t in direct["result"]["tools"] if t["name"] not in hidden]
                    self.assertLess(len(expected["result"]["tools"]), len(direct["result"]["tools"]))
                    if client.modern:
                        expected["result"]["cacheScope"] = "private"  # the list is this caller's now
                    self.assertEqual(response.json(), expected)
                    self.assert_denial(client.post(client.call_message(*spec.denied, identifier=2)), 2, rule="(hidden)")
                    self.assertEqual(agent.status()["frames"]["lists_filtered"], 1)
                    self.stop_agent(agent)


# Passes every POST on to the port that it is given, as it came.
PROXY = """
import http.client, http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        upstream = http.client.HTTPConnection("127.0.0.1", int(sys.argv[2]))
        upstream.request("POST", self.path, body, {n: v for n, v in self.headers.items() if n.lower() not in ("host", "content-length")})
        answer = upstream.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers["Content-Type"] or "text/plain")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        upstream.close()
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class TestHops(HttpEndToEnd):
    """A call that passes several servers counts once in each that is governed."""

    def limited_calls(self, server, count):
        return ["_meta" in self.mcp(server).call("write_note")["result"] for _ in range(count)]

    def proxy_to(self, server):
        spec = HttpSpec("proxy", (PYTHON, "-c", PROXY, "{port}", str(server.port), "hop-proxy"), {"command": "*hop-proxy"}, (), (), ())
        return self.server(spec)

    def test_through_a_proxy_that_nobody_governs(self):
        server = self.server(CPP_HTTP)
        agent = self.agent({"server": policy(CPP_HTTP.match, limited="write_note", maximum=3)})
        self.assertEqual(self.limited_calls(self.proxy_to(server), 4), [False, False, False, True])
        self.assertEqual(len(agent.wait_audit("message", direction="c2s", method="tools/call", count=4)), 4)

    def test_through_a_governed_proxy(self):
        server = self.server(CPP_HTTP)
        agent = self.agent({"server": policy(CPP_HTTP.match, limited="write_note", maximum=3),
                            "proxy": policy({"command": "*hop-proxy"}, limited="write_note", maximum=2)})
        self.assertEqual(self.limited_calls(self.proxy_to(server), 3), [False, False, True])
        records = self.assert_judged(agent, "tools/call", count=4)
        self.assertEqual(sorted(record["policy"] for record in records), ["proxy", "proxy", "server", "server"])


class TestErrors(HttpEndToEnd):
    def test_a_server_that_refuses_is_passed_on(self):
        """The server's own errors: a wrong Accept, an unknown session, a body that is too old or no MCP."""
        server = self.server(EVERYTHING_HTTP)

        def answers():
            client = self.mcp(server)
            listing = json.dumps(client.message("tools/list", identifier=1)).encode()
            json_type = ("Content-Type", "application/json")
            both = ("Accept", "application/json, text/event-stream")
            session = ("Mcp-Session-Id", client.session)
            requests = ([json_type, session], [json_type, both, ("Mcp-Session-Id", "none")], [both, session, ("Content-Type", "text/plain")],
                        [json_type, both, session, ("MCP-Protocol-Version", "1999-01-01")])
            return [comparable(client.connection.request("POST", "/mcp", fields, listing)) for fields in requests]
        direct = answers()
        self.assertEqual({answer[0] // 100 for answer in direct}, {4})
        agent = self.agent({"allow": policy(EVERYTHING_HTTP.match)})
        self.assertEqual(answers(), direct)
        self.assert_judged(agent, "tools/list", count=4)


if __name__ == "__main__":
    main()
