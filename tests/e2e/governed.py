"""What must hold for every server, whatever it is written in: the tests that the test_*_server files share."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from callgate_harness import *  # noqa: E402,F403
from callgate_harness import BINARY, LIMITED, policy, policy_for, subprocess  # noqa: E402


def callgate(*words):
    return subprocess.run([str(BINARY), *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)


def echoed(answer):
    return answer["result"]["content"][0]["text"].removeprefix("Echo: ")


def echo(client, server, text, **more):
    name = next(iter(server.allowed[1]))
    return client.post("tools/call", {"name": "echo", "arguments": {name: text}}, **more)


class Governed:
    """Mixed into EndToEnd with SERVERS, and with CHANNELS where only one kind suits."""
    SERVERS = ()
    CHANNELS = ("pipe", "socketpair")

    def cases(self):
        for server in self.SERVERS:
            for channel in self.CHANNELS:
                if channel == "socketpair" or not {"--recvmsg", "--recvmmsg"}.intersection(server.command):  # of sockets only
                    yield server, channel

    def transcript(self, server, channel):
        """A session's raw answers, and how the server ended."""
        client = self.client(server.command, channel=channel)
        lines = []
        client.post("initialize", {"protocolVersion": "2025-11-25", "capabilities": {},
                                   "clientInfo": {"name": "harness", "version": "1.0.0"}}, identifier=0)
        lines.append(client.answer_line(0))
        client.notify("notifications/initialized")
        client.send(b'{"jsonrpc":"2.0","id":"caf\xc3\xa9 \\u0062","method":"tools/list"}\n')
        lines.append(client.answer_line("caf\u00e9 b"))
        tool, arguments = server.allowed
        client.post("tools/call", {"name": tool, "arguments": arguments}, identifier=9007199254740991)
        lines.append(client.answer_line(9007199254740991))
        client.post("no/such/method", identifier=2)
        lines.append(client.answer_line(2))
        client.post("ping", identifier=3)
        lines.append(client.answer_line(3))
        return lines, client.shutdown()

    def test_identical_bytes_under_an_allow_policy(self):
        cases = list(self.cases())
        direct = [self.transcript(*case) for case in cases]
        agent = self.agent({f"allow-{server.name}": policy(server.match) for server in self.SERVERS})
        for number, (case, expected) in enumerate(zip(cases, direct), 1):
            with self.case(server=case[0].name, channel=case[1]):
                lines, code = self.transcript(*case)
                self.assertEqual(lines, expected[0])
                self.assertEqual(code, expected[1])
                self.assertEqual(code, case[0].exit_code)
                session = agent.wait_audit("session_end", count=number)[-1]["session"]
                requests = [r for r in agent.audit("message", session=session, direction="c2s") if r["kind"] == "request"]
                self.assertEqual([r["method"] for r in requests],
                                 ["initialize", "tools/list", "tools/call", "no/such/method", "ping"])
                self.assertEqual({r["decision"] for r in requests}, {"allow"})
                answers = [r for r in agent.audit("message", session=session, direction="s2c") if r["kind"] == "response"]
                self.assertEqual({r["answers"] for r in answers}, {r["id"] for r in requests})
        self.assertEqual(len(agent.audit("session_start")), len(cases))

    def test_denied_and_limited_calls(self):
        for server, channel in self.cases():
            with self.case(server=server.name, channel=channel):
                agent = self.agent({"example": policy_for(server)})
                client = self.client(server.command, channel=channel)
                client.initialize()
                tool, arguments = server.denied
                answer = client.call(tool, arguments, identifier="deny me")
                self.assertEqual(answer["id"], "deny me")
                self.assert_denied(answer, rule=f"/tools/{tool}/deny_if", reason="Requires human approval.")
                tool, arguments = server.limited
                for _ in range(2):
                    self.assert_result(client.call(tool, arguments))
                decision = self.assert_denied(client.call(tool, arguments), code=LIMITED,
                                              rule=f"/tools/{tool}/limits/{tool}_rate")
                self.assertLessEqual(decision["retryAfterMs"], 86400_000)
                self.assert_result(client.call(*server.allowed))
                self.assertEqual(client.shutdown(), server.exit_code)
                calls = agent.wait_audit("message", count=5, direction="c2s", method="tools/call")
                self.assertEqual([r["decision"] for r in calls], ["deny", "allow", "allow", "deny", "allow"])
                self.stop_agent(agent)

    def test_killed_by_a_signal(self):
        server = self.SERVERS[0]
        agent = self.agent({"allow": policy(server.match)})
        client = self.client(server.command, channel=self.CHANNELS[0])
        client.initialize()
        self.assert_result(client.call(*server.allowed))
        client.process.kill()
        client.read_rest()
        self.assertEqual(client.wait(), -9)
        agent.wait_audit("session_end")

    def test_hidden_tool(self):
        server = self.SERVERS[0]
        hidden = server.denied[0]
        direct = self.client(server.command, channel=self.CHANNELS[0])
        direct.initialize()
        all_tools = direct.request("tools/list")["result"]["tools"]
        direct.shutdown()
        self.agent({"hide": policy(server.match, hide=[hidden])})
        client = self.client(server.command, channel=self.CHANNELS[0])
        client.initialize()
        tools = client.request("tools/list")["result"]["tools"]
        self.assertEqual(tools, [t for t in all_tools if t["name"] != hidden])
        self.assert_denied(client.call(*server.denied), rule="(hidden)")
        client.shutdown()

    def test_default_deny(self):
        server = self.SERVERS[0]
        tool, arguments = server.allowed
        self.agent({"deny": policy(server.match, default="deny", tools={tool: {}})})
        client = self.client(server.command, channel=self.CHANNELS[0])
        client.initialize()
        self.assert_result(client.call(tool, arguments))
        self.assert_denied(client.call(*server.limited), rule="(default deny)")
        client.shutdown()
