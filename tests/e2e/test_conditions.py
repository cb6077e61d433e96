"""Conditions on arguments and on the caller, through the real relay: what a policy asks of a call decides whether the server
gets it."""
from governed_http import *  # noqa: F403
from governed_http import NOTES_PY, PYTHON_HTTP, HttpEndToEnd, echoed, json, main, policy

APPROVAL = -32003


def condition(path, op, value):
    return {"path": path, "op": op, "value": value}


def rules(key, *conditions, **more):
    return {key: [{"conditions": list(conditions), **more}]}


ECHO_RULES = {
    **rules("require", condition("args.text", "regex", "^[a-z0-9 ]+$"), on_deny="Plain text only."),
    "deny_if": [
        {"conditions": [condition("args.text", "contains", "secret")], "on_deny": "No secrets."},
        {"conditions": [condition("args.list.*.n", "gt", 9007199254740992)]},
        {"conditions": [condition("client.name", "eq", "mallory")], "on_deny": "Not for mallory."},
    ],
    **rules("require_approval", condition("args.text", "eq", "pay")),
}
# Arguments of echo, and the rule that denies them; none where they reach the server.
CALLS = (
    ({"text": "hello 1"}, None),
    ({"text": "a secret"}, "/tools/echo/deny_if/args.text-contains"),
    ({"text": "Hello"}, "/tools/echo/require/args.text-regex"),
    ({"text": 7}, "/tools/echo/require/args.text-regex"),
    ({}, "/tools/echo/require/args.text-regex"),
    ({"text": "a", "list": [{"n": 9007199254740992}]}, None),
    ({"text": "a", "list": [{"n": 1}, {"n": 9007199254740993}]}, "/tools/echo/deny_if/args.list.*.n-gt"),
)


def conditional(match, **more):
    return policy(match, default="deny", tools={"echo": {**ECHO_RULES, **more}})


class TestStdio(HttpEndToEnd):
    def test_arguments_decide(self):
        agent = self.agent({"conditions": conditional(NOTES_PY.match)})
        client = self.client(NOTES_PY.command)
        client.initialize()
        for arguments, rule in CALLS:
            with self.subTest(arguments=arguments):
                answer = client.call("echo", arguments)
                if rule is None:
                    self.assertEqual(echoed(answer), arguments["text"])
                else:
                    self.assertEqual(self.assert_denied(answer)["rule"], rule)
        client.shutdown()
        records = agent.wait_audit("message", count=len(CALLS), direction="c2s", method="tools/call")
        self.assertEqual([r.get("rule") for r in records], [rule for _, rule in CALLS])

    def test_escapes_are_read_before_judging(self):
        self.agent({"conditions": conditional(NOTES_PY.match)})
        client = self.client(NOTES_PY.command)
        client.initialize()
        client.send(b'{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"\\u0065cho",'
                    b'"arguments":{"t\\u0065xt":"a \\u0073ecret"}}}\n')
        decision = self.assert_denied(client.answer(5), reason="No secrets.")
        self.assertEqual(decision["rule"], "/tools/echo/deny_if/args.text-contains")
        client.shutdown()

    def test_who_calls(self):
        """The kernel's word for the caller, and the caller's own."""
        allowed = rules("require", condition("peer.uid", "eq", os.getuid()), condition("client.name", "neq", "mallory"))
        tools = {"echo": allowed, "write_note": rules("deny_if", condition("peer.exe", "regex", "/python3[.0-9]*$")),
                 "delete_note": rules("require", condition("peer.uid", "eq", str(os.getuid())))}
        self.agent({"caller": policy(NOTES_PY.match, default="deny", tools=tools)})
        client = self.client(NOTES_PY.command)
        client.initialize()
        self.assertEqual(echoed(client.call("echo", {"text": "me"})), "me")
        self.assertEqual(self.assert_denied(client.call("write_note"))["rule"], "/tools/write_note/deny_if/peer.exe-regex")
        self.assertEqual(self.assert_denied(client.call("delete_note"))["rule"], "/tools/delete_note/require/peer.uid-eq")
        client.shutdown()

    def test_a_human_must_approve(self):
        agent = self.agent({"conditions": conditional(NOTES_PY.match)})
        client = self.client(NOTES_PY.command)
        client.initialize()
        answer = client.call("echo", {"text": "pay"})
        self.assertEqual(answer["error"]["code"], APPROVAL)
        self.assertIn("needs the approval of a human", answer["error"]["message"])
        self.assertEqual(answer["error"]["data"]["rule"], "/tools/echo/require_approval/args.text-eq")
        client.shutdown()
        record = agent.wait_audit("message", direction="c2s", method="tools/call")[0]
        self.assertEqual((record["decision"], record["code"]), ("deny", APPROVAL))


class TestHttp(HttpEndToEnd):
    def test_arguments_decide(self):
        server = self.server(PYTHON_HTTP, logged=True)
        agent = self.agent({"conditions": conditional(PYTHON_HTTP.match)})
        client = self.mcp(server)
        for number, (arguments, rule) in enumerate(CALLS):
            with self.subTest(arguments=arguments):
                marked = {**arguments, "mark": f"call-mark-{number}"}
                answer = client.call("echo", marked)
                if rule is None:
                    self.assert_result(answer)
                    self.assert_received(server, f"call-mark-{number}".encode())
                else:
                    self.assertEqual(self.assert_denied(answer)["rule"], rule)
                    self.assert_not_received(server, f"call-mark-{number}".encode())
        self.assert_judged(agent, "tools/call", decision="deny", count=sum(rule is not None for _, rule in CALLS))
        self.assertEqual(client.call("echo", {"text": "pay"})["error"]["code"], APPROVAL)

    def test_what_the_client_says_of_itself(self):
        server = self.server(PYTHON_HTTP)
        self.agent({"conditions": conditional(PYTHON_HTTP.match)})
        for name, rule in (("alice", None), ("mallory", "/tools/echo/deny_if/client.name-eq")):
            with self.subTest(client=name):
                client = self.mcp(server, initialize=False)
                response = client.post(client.message("initialize", {
                    "protocolVersion": client.version, "capabilities": {}, "clientInfo": {"name": name, "version": "1"}}))
                client.session, client.initialized = response.field("Mcp-Session-Id"), True
                client.notify("notifications/initialized")
                answer = client.call("echo", {"text": "hello"})
                if rule is None:
                    self.assert_result(answer)
                else:
                    self.assertEqual(self.assert_denied(answer)["rule"], rule)


if __name__ == "__main__":
    main()
