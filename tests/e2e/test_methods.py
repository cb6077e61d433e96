"""Doors other than tools/call, through the real relay: resources and prompts by name, calls that a method carries, other
names of tools, and what a server asks of its client."""
from governed_http import *  # noqa: F403
from governed_http import DENIED, EVERYTHING, EVERYTHING_HTTP, LIMITED, NOTES_PY, HttpEndToEnd, echoed, json, main, policy

METHODS = {
    "prompts/get": {"names": {"simple-prompt": {},
                              "args-prompt": {"deny_if": [{"conditions": [{"path": "args.city", "op": "eq", "value": "Atlantis"}],
                                                           "on_deny": "It has sunk."}]}}},
    "resources/read": {"names": {"glob:demo://resource/dynamic/text/*": {}}},
    "completion/complete": {"action": "deny"},
    "sampling/createMessage": {"deny_if": [{"conditions": [{"path": "args.maxTokens", "op": "gt", "value": 50}]}]},
}
NO_SUCH_METHOD = -32601


class Doors:
    """What is asked of server-everything, over whatever transport."""

    def check_doors(self, client):
        answer = client.request("prompts/get", {"name": "simple-prompt"})
        self.assertIn("messages", answer["result"])
        answer = client.request("prompts/get", {"name": "args-prompt", "arguments": {"city": "Bonn"}})
        self.assertIn("messages", answer["result"])
        answer = client.request("prompts/get", {"name": "args-prompt", "arguments": {"city": "Atlantis"}})
        self.assert_error(answer, "/methods/prompts~1get/names/args-prompt/deny_if/args.city-eq")
        self.assertIn("It has sunk.", answer["error"]["message"])
        self.assert_error(client.request("prompts/get", {"name": "resource-prompt"}), "(default deny)")
        answer = client.request("resources/read", {"uri": "demo://resource/dynamic/text/1"})
        self.assertIn("contents", answer["result"])
        self.assert_error(client.request("resources/read", {"uri": "demo://resource/dynamic/blob/1"}), "(default deny)")
        answer = client.request("completion/complete", {"ref": {"type": "ref/prompt", "name": "args-prompt"},
                                                        "argument": {"name": "city", "value": "B"}})
        self.assert_error(answer, "/methods/completion~1complete/action")
        self.assertIn("result", client.request("resources/list"))

    def assert_error(self, answer, rule, code=DENIED):
        self.assertEqual(answer["error"]["code"], code, answer)
        self.assertEqual(answer["error"]["data"]["rule"], rule)


class TestStdio(Doors, HttpEndToEnd):
    def test_resources_and_prompts(self):
        agent = self.agent({"methods": policy(EVERYTHING.match, default="deny", methods=METHODS)})
        client = self.client(EVERYTHING.command)
        client.initialize()
        self.check_doors(client)
        client.shutdown()
        denied = agent.wait_audit("message", count=4, direction="c2s", decision="deny")
        self.assertEqual([r["method"] for r in denied], ["prompts/get", "prompts/get", "resources/read", "completion/complete"])

    def test_what_a_server_asks_of_its_client(self):
        """The server hears of the denial and goes on; the client never sees what was asked."""
        agent = self.agent({"methods": policy(EVERYTHING.match, methods=METHODS)})
        client = self.client(EVERYTHING.command)
        client.request("initialize", {"protocolVersion": "2025-11-25", "capabilities": {"sampling": {}},
                                      "clientInfo": {"name": "harness", "version": "1.0.0"}})
        client.notify("notifications/initialized")
        asked = client.post("tools/call", {"name": "trigger-sampling-request", "arguments": {"prompt": "p", "maxTokens": 51}})
        answer = client.answer(asked)
        self.assertIn("-31403", json.dumps(answer), "the server passes on what it was told")
        record = agent.wait_audit("message", direction="s2c", method="sampling/createMessage")[0]
        self.assertEqual((record["decision"], record["rule"]), ("deny", "/methods/sampling~1createMessage/deny_if/args.maxTokens-gt"))
        asked = client.post("tools/call", {"name": "trigger-sampling-request", "arguments": {"prompt": "p", "maxTokens": 50}})
        while True:
            message = json.loads(client.read_line())
            if message.get("method") == "sampling/createMessage":
                break
        self.assertEqual(message["params"]["maxTokens"], 50)
        client.send_message({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -1, "message": "no model here"}})
        self.assertIn("no model here", json.dumps(client.answer(asked)))
        client.shutdown()
        self.assertEqual(agent.wait_audit("session_end")[0]["frames"]["server_denied"], 1)

    def test_other_names_share_the_count(self):
        limits = {"limits": [{"counter": "c", "window": "day", "max": 2}]}
        self.agent({"aliases": policy(NOTES_PY.match, default="deny", tools={"write_note": limits}, aliases={"save_note": "write_note"})})
        client = self.client(NOTES_PY.command)
        client.initialize()
        self.assert_result(client.call("write_note"))
        client.call("save_note")  # the server has no such tool; the policy let it through, and a failed call is given back
        self.assert_result(client.call("write_note"))
        self.assert_denied(client.call("save_note"), code=LIMITED, rule="/tools/write_note/limits/c")
        client.shutdown()

    def test_calls_that_a_method_carries(self):
        self.agent({"batch": policy(NOTES_PY.match, default="deny", tools={"echo": {}, "delete_note": {"action": "deny"}},
                                    call_methods={"tools/batch": "params.calls[*].name"})})
        client = self.client(NOTES_PY.command)
        client.initialize()
        self.assertEqual(echoed(client.call("echo", {"text": "one"})), "one")
        answer = client.request("tools/batch", {"calls": [{"name": "echo"}, {"name": "echo", "arguments": {"text": "x"}}]})
        self.assertEqual(answer["error"]["code"], NO_SUCH_METHOD, "it should have reached the server")
        self.assert_error(client.request("tools/batch", {"calls": [{"name": "echo"}, {"name": "delete_note"}]}), "/tools/delete_note/action")
        self.assert_error(client.request("tools/batch", {"calls": [{"name": "echo"}, {"name": "other"}]}), "(default deny)")
        self.assert_error(client.request("tools/batch", {"calls": [{"name": "echo", "Name": "other"}]}), "(unreadable calls)")
        self.assert_error(client.request("tools/other", {}), "(default deny)")
        for method in ("Tools/call", "tools/call ", "Tools/Batch", "TOOLS/other"):
            self.assert_error(client.request(method, {"name": "delete_note"}), "(unclear method)")
        client.shutdown()

    def test_names_that_servers_may_read_differently(self):
        completed = {"names": {"args-prompt": {}, "demo://no": {"action": "deny"}}}
        self.agent({"names": policy(EVERYTHING.match, methods={"completion/complete": completed})})
        client = self.client(EVERYTHING.command)
        client.initialize()
        argument = {"name": "city", "value": "B"}
        ref = {"type": "ref/prompt", "name": "args-prompt"}
        self.assertIn("result", client.request("completion/complete", {"ref": ref, "argument": argument}))
        for more in ({"uri": "demo://no", "type": "ref/resource"}, {"Uri": "demo://no"}, {"Name": "other"}):
            self.assert_error(client.request("completion/complete", {"ref": {**ref, **more}, "argument": argument}), "(unclear arguments)")
        client.shutdown()


class TestHttp(Doors, HttpEndToEnd):
    def test_resources_and_prompts(self):
        server = self.server(EVERYTHING_HTTP)
        agent = self.agent({"methods": policy(EVERYTHING_HTTP.match, default="deny", methods=METHODS)})
        self.check_doors(self.mcp(server))
        self.assert_judged(agent, "prompts/get", decision="deny", count=2)
        self.assert_judged(agent, "resources/read", count=1)


if __name__ == "__main__":
    main()
