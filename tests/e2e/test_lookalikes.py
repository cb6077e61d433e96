"""Programs that are no MCP servers pass untouched, also where a policy names them and denies everything."""
import os

from governed import *  # noqa: F403
from governed import EVERYTHING, PYTHON, SERVERS, EndToEnd, json, main, policy, wait_for

FRAMES = {
    "acp": [{"jsonrpc": "2.0", "id": 0, "method": "initialize",
             "params": {"protocolVersion": 1, "clientCapabilities": {"fs": {"readTextFile": True}, "terminal": True},
                        "clientInfo": {"name": "editor", "version": "1"}}},
            {"jsonrpc": "2.0", "id": 1, "method": "session/new", "params": {"cwd": "/", "mcpServers": []}},
            {"jsonrpc": "2.0", "id": 2, "method": "session/prompt", "params": {"sessionId": "s", "prompt": []}}],
    "codex": [{"id": 0, "method": "initialize", "params": {"clientInfo": {"name": "x", "title": "x", "version": "1"}}},
              {"method": "initialized"}, {"id": 1, "method": "thread/start", "params": {}}],
    "ipc": [{"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []},
            {"jsonrpc": "2.0", "id": 2, "method": "eth_call", "params": [{}, "latest"]}],
    "lsp": [{"jsonrpc": "2.0", "id": 0, "method": "initialize",
             "params": {"processId": 1, "rootUri": None, "capabilities": {}, "clientInfo": {"name": "editor"}}},
            {"jsonrpc": "2.0", "method": "initialized", "params": {}},
            {"jsonrpc": "2.0", "id": 1, "method": "textDocument/hover", "params": {}}],
}


def encoded(protocol, message):
    body = json.dumps(message).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body) if protocol == "lsp" else body + b"\n"


class TestLookalikes(EndToEnd):
    def transcript(self, protocol, channel, agent=None):
        client = self.client([PYTHON, SERVERS / "lookalike" / "server.py", protocol], channel=channel)
        frames = FRAMES[protocol]
        client.send(encoded(protocol, frames[0]))
        first = client.read_line()
        if agent:
            # The server's own answer shows what it speaks: now it has its own descriptors (again).
            wait_for(lambda: self.first_two(client.pid) == client.original_ends, "the release of the session")
        client.send(b"".join(encoded(protocol, frame) for frame in frames[1:]))
        client.close_stdin()
        return [first, *client.read_rest()], client.wait()

    @staticmethod
    def first_two(pid):
        return {fd: os.readlink(f"/proc/{pid}/fd/{fd}") for fd in (0, 1)}

    def test_untouched(self):
        for protocol in FRAMES:
            for channel in ("pipe", "socketpair"):
                with self.case(protocol=protocol, channel=channel):
                    direct = self.transcript(protocol, channel)
                    agent = self.agent({"deny": policy({"command": f"*lookalike/server.py {protocol}*"}, default="deny")})
                    self.assertEqual(self.transcript(protocol, channel, agent), direct)
                    self.assertEqual(direct[1], 0)
                    self.assertEqual(agent.audit("message"), [])
                    self.assertEqual([s for s in agent.sessions() if s["state"] == "enforced"], [])
                    self.stop_agent(agent)

    def test_a_call_on_a_line_of_what_claims_to_be_a_body(self):
        """One whole message for who counts bytes, and a call for who reads lines, as the server does."""
        self.agent({"p": policy(EVERYTHING.match, default="deny", tools={"get-sum": {}})})
        client = self.client(EVERYTHING.command)
        call = {"jsonrpc": "2.0", "id": "A" * 300, "method": "tools/call", "params": {"name": "echo", "arguments": {"message": "hidden"}}}
        body = b'{"jsonrpc":"2.0","method":"x","params":{"a":\n%s\n}}' % json.dumps(call).encode()
        client.send(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        client.send(b"\n" + json.dumps({**call, "id": 1, "params": {"name": "get-sum", "arguments": {"a": 1, "b": 2}}}).encode() + b"\n")
        lines = [client.read_line()]
        while b'"id":1' not in lines[-1]:
            lines.append(client.read_line())
        self.assertNotIn(b"hidden", b"".join(lines))  # it answers in turn


if __name__ == "__main__":
    main()
