"""What a server asks of its client, through the real TypeScript SDK on both sides: within a result (2026-07-28), and by a request
of its own (before that). And a list that only some clients can read."""
from governed_http import *  # noqa: F403
from governed_http import DENIED, MODERN, MODERN_HTTP, NOTES_PY, PYTHON_HTTP, HttpEndToEnd, main, policy

REVISION = "2026-07-28"
ANSWERS = {"elicitation/create": {"action": "accept", "content": {"city": "Bonn"}},
           "sampling/createMessage": {"role": "assistant", "model": "m", "content": {"type": "text", "text": "Bonn"}}}
STEPS = [{"call": {"name": name}} for name in ("ask_city", "ask_model", "echo")]
RULE = "/methods/sampling~1createMessage/action"
NO_SAMPLING = {"sampling/createMessage": {"action": "deny", "reason": "No model for servers."}}


class TestWhatAServerAsks(HttpEndToEnd):
    def session(self, mode):
        return self.sdk_client(MODERN.command, STEPS, sdk="v2", mode=mode, answers=ANSWERS).finish()[1:-1]

    def check_direct(self, events):
        self.assertEqual([e.get("asked") for e in events], ["elicitation/create", None, "sampling/createMessage", None, None])
        self.assertIn("Bonn", events[3]["result"]["content"][0]["text"])

    def check_record(self, agent, method):
        record = agent.wait_audit("message", direction="s2c", decision="deny")[0]
        self.assertEqual((record["rule"], record.get("method")), (RULE, method))

    def test_on_stdio(self):
        for mode in (REVISION, "legacy"):
            with self.case(mode=mode):
                direct = self.session(mode)
                self.check_direct(direct)
                agent = self.agent({"asks": policy(MODERN.match, methods=NO_SAMPLING)})
                asked, city, model, echo = self.session(mode)
                self.assertEqual([asked, city, echo], [*direct[:2], direct[4]])
                if mode == REVISION:  # the client gets a denial in place of the result that asks
                    self.assert_denied_result(model["result"], rule=RULE, reason="No model for servers.")
                    self.check_record(agent, "tools/call")
                else:  # the server is told, and says so in its answer
                    self.assertIn("No model for servers.", model["result"]["content"][0]["text"])
                    self.check_record(agent, "sampling/createMessage")
                self.stop_agent(agent)

    def test_over_http(self):
        server = self.server(MODERN_HTTP)
        options = {"sdk": "v2", "mode": REVISION, "answers": ANSWERS}
        direct = self.sdk_http(server, STEPS, **options)[1:-1]
        self.check_direct(direct)
        agent = self.agent({"asks": policy(MODERN_HTTP.match, methods=NO_SAMPLING)})
        asked, city, model, echo = self.sdk_http(server, STEPS, **options)[1:-1]
        self.assertEqual([asked, city, echo], [*direct[:2], direct[4]])
        self.assert_denied_result(model["result"], rule=RULE, reason="No model for servers.")
        self.check_record(agent, "tools/call")

    def test_shadow_lets_it_ask(self):
        agent = self.agent({"asks": policy(MODERN.match, mode="shadow", methods=NO_SAMPLING)})
        self.check_direct(self.session(REVISION))
        self.assertEqual(agent.wait_audit("message", direction="s2c", decision="would_deny")[0]["rule"], RULE)


class TestListsThatSomeCanRead(HttpEndToEnd):
    """A NaN in it: Python's clients read the list, JavaScript's do not."""
    STEPS = [{"list": True}, {"call": {"name": "echo", "arguments": {"text": "x"}}}]

    def check_withheld(self, agent, events, direct_echo):
        _, listed, echo, _ = events
        self.assertEqual(listed["error"]["code"], DENIED)
        self.assertIn("Some clients may read", listed["error"]["message"])
        self.assertEqual(echo, direct_echo)
        agent.wait_audit("message", direction="s2c", decision="deny", rule="(unreadable message)")

    def test_on_stdio(self):
        command = (*NOTES_PY.command, "--not-a-number")
        direct = self.client(command)
        direct.initialize()
        tools = direct.request("tools/list")["result"]["tools"]
        self.assertIn("delete_note", [tool["name"] for tool in tools])
        direct.shutdown()
        agent = self.agent({"hide": policy(NOTES_PY.match, hide=["delete_note"])})
        client = self.client(command)
        client.initialize()
        self.assertEqual(client.request("tools/list")["error"]["code"], DENIED)
        self.assert_result(client.call("echo", {"text": "x"}))
        client.shutdown()
        echo = {"result": {"content": [{"type": "text", "text": "x"}]}}
        for sdk in ("v1", "v2"):
            with self.subTest(sdk=sdk):
                self.check_withheld(agent, self.sdk_client(command, self.STEPS, sdk=sdk).finish(), echo)

    def test_what_names_nothing_hidden_passes(self):
        self.agent({"hide": policy(NOTES_PY.match, hide=["other"])})
        client = self.client((*NOTES_PY.command, "--not-a-number"))
        client.initialize()
        self.assertEqual(len(client.request("tools/list")["result"]["tools"]), 6)
        client.shutdown()

    def test_over_http(self):
        for answers in ("json", "sse"):
            with self.case(answers=answers):
                server = self.server(PYTHON_HTTP.with_options("--answers", answers, "--not-a-number"))
                agent = self.agent({"hide": policy(PYTHON_HTTP.match, hide=["delete_note"])})
                events = self.sdk_http(server, self.STEPS)
                self.check_withheld(agent, events, events[2])
                self.assertEqual(events[2]["result"]["content"][0]["text"], "x")
                self.stop_agent(agent)


if __name__ == "__main__":
    main()
