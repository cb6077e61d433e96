"""Clients that are not ours: the TypeScript SDK v1 and v2 (both eras), the MCP Inspector, and a Python client."""
from governed import *  # noqa: F403
from governed import (DENIED, EVERYTHING, FILESYSTEM, LIMITED, MEMORY, MODERN, NOTES_BUN, NOTES_DENO, NOTES_PY, EndToEnd,
                      cpp_server, inspector, main, policy, policy_for)

SERVERS = (EVERYTHING, FILESYSTEM, MEMORY, NOTES_PY, NOTES_BUN, NOTES_DENO, cpp_server("--readv"), cpp_server("--dup"),
           cpp_server("--threads", "4"), cpp_server("--late", "300"))


def call(tool, arguments):
    return {"call": {"name": tool, "arguments": arguments}}


class SdkClients:
    """The same script for one SDK and mode: all tools, an allowed, a denied, two limited calls and one too many."""
    SDK = MODE = None
    SERVERS = ()

    def session(self, server):
        steps = [{"list": True}, call(*server.allowed), call(*server.denied), *[call(*server.limited)] * 3]
        return self.sdk_client(server.command, steps, sdk=self.SDK, mode=self.MODE).finish()

    def test_every_server(self):
        for server in self.SERVERS:
            with self.case(server=server.name):
                direct = self.session(server)
                agent = self.agent({"example": policy_for(server)})
                connected, tools, allowed, denied, first, second, third, closed = self.session(server)
                without = direct[0]["connected"]
                self.assertEqual(connected["connected"]["server"], without["server"])
                self.assertEqual(connected["connected"].get("negotiated"), without.get("negotiated"))
                self.assertEqual(tools, direct[1])
                self.assertEqual(allowed, direct[2])
                self.assert_denied_result(denied["result"], code=DENIED, reason="Requires human approval.")
                self.assertEqual([first, second], direct[4:6])
                self.assert_denied_result(third["result"], code=LIMITED)
                self.assertEqual(closed, direct[7])
                self.assert_records(agent, server)
                self.stop_agent(agent)

    def assert_records(self, agent, server):
        calls = agent.wait_audit("message", count=5, direction="c2s", method="tools/call")
        self.assertEqual([r["decision"] for r in calls], ["allow", "deny", "allow", "allow", "deny"])


class TestSdkV1(SdkClients, EndToEnd):
    SDK, MODE = "v1", "legacy"
    SERVERS = SERVERS


class TestSdkV2Legacy(SdkClients, EndToEnd):
    SDK, MODE = "v2", "legacy"
    SERVERS = (EVERYTHING, NOTES_PY, MODERN)


class TestSdkV2Pinned(SdkClients, EndToEnd):
    """Revision 2026-07-28: no handshake; a session may begin with tools/list."""
    SDK, MODE = "v2", "2026-07-28"
    SERVERS = (MODERN,)


class TestSdkV2Auto(SdkClients, EndToEnd):
    """A throw-away process is probed with server/discover first; it is governed like any other."""
    SDK, MODE = "v2", "auto"
    SERVERS = (MODERN, EVERYTHING)


class TestInspector(EndToEnd):
    def test_list_allow_and_deny(self):
        for server in (EVERYTHING, NOTES_PY):
            with self.case(server=server.name):
                direct = inspector(server.command, "--method", "tools/list")
                tool, arguments = server.allowed
                pairs = [word for name, value in arguments.items() for word in ("--tool-arg", f"{name}={value}")]
                allowed = ("--method", "tools/call", "--tool-name", tool, *pairs)
                direct_result = inspector(server.command, *allowed)
                agent = self.agent({"example": policy_for(server)})
                self.assertEqual(inspector(server.command, "--method", "tools/list"), direct)
                self.assertEqual(inspector(server.command, *allowed), direct_result)
                result = inspector(server.command, "--method", "tools/call", "--tool-name", server.denied[0])
                self.assertIs(result["isError"], True)
                self.assertIn("[POLICY DENIED] Requires human approval.", result["content"][0]["text"])
                self.assertEqual(len(agent.wait_audit("session_end", count=3)), 3)
                self.stop_agent(agent)

    def test_hidden_tool_is_not_listed(self):
        self.agent({"hide": policy(EVERYTHING.match, hide=["get-env"])})
        names = [t["name"] for t in inspector(EVERYTHING.command, "--method", "tools/list")["tools"]]
        self.assertIn("echo", names)
        self.assertNotIn("get-env", names)


class TestPythonClientRevisions(EndToEnd):
    def test_every_revision_with_a_handshake(self):
        self.agent({"example": policy(NOTES_PY.match, denied="delete_note")})
        for version in ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"):
            with self.case(version=version):
                client = self.client(NOTES_PY.command)
                self.assertEqual(client.initialize(version)["result"]["protocolVersion"], version)
                self.assert_denied(client.call("delete_note"))
                self.assertEqual(client.shutdown(), 7)

    def test_a_modern_first_frame(self):
        """The very first request is a denied tools/call that carries its revision in _meta."""
        self.agent({"example": policy(MODERN.match, denied="delete_note")})
        client = self.client(MODERN.command, channel="socketpair")
        meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": {"name": "harness", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {}}
        answer = client.request("tools/call", {"name": "delete_note", "arguments": {}, "_meta": meta})
        self.assert_denied(answer)
        self.assertEqual(answer["result"]["resultType"], "complete")
        self.assert_result(client.request("tools/call", {"name": "echo", "arguments": {}, "_meta": meta}))
        client.shutdown()


if __name__ == "__main__":
    main()
