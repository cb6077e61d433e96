"""The first request of the first connection is judged, however soon after the listener it comes."""
import threading

from governed_http import *  # noqa: F403
from governed_http import (CPP_HTTP, EVERYTHING_HTTP, MODERN_HTTP, PYTHON_HTTP, REUSE_PORT, HttpConnection, HttpEndToEnd, free_port, json,
                           main, make_request, policy, time)


class EagerClient(threading.Thread):
    """Connects in a tight loop from before the server listens, and calls as soon as it is connected."""

    def __init__(self, port, tool, host="127.0.0.1"):
        super().__init__(daemon=True)
        self.host, self.port = host, port
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                           "params": {"name": tool, "arguments": {"mark": "eager-mark"}}}).encode()
        fields = [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream"),
                  ("MCP-Protocol-Version", "2025-11-25")]
        self.request = make_request("POST", "/mcp", fields, body)
        self.response, self.failure, self.refused = None, None, 0
        self.trying = threading.Event()

    def run(self):
        deadline = time.monotonic() + 20
        try:
            while time.monotonic() < deadline:
                try:
                    connection = HttpConnection(self.host, self.port)
                except ConnectionRefusedError:
                    self.refused += 1
                    self.trying.set()
                    continue
                connection.send(self.request)
                self.response = connection.read_response("POST")
                connection.close()
                return
        except BaseException as error:  # reported by the test's own thread
            self.failure = error


class TestFirstCall(HttpEndToEnd):
    ROUNDS = 8

    def first_call(self, spec, tool, **options):
        """Starts a server towards which a client is already hurrying; returns the client and the server."""
        port = free_port()
        client = EagerClient(port, tool)
        client.start()
        self.assertTrue(client.trying.wait(10))
        server = self.server(spec, port=port, wait=False, logged=spec.log_option, **options)
        client.join(30)
        self.assertIsNone(client.failure)
        self.assertIsNotNone(client.response, "the server never listened")
        self.assertGreater(client.refused, 0)
        return client, server

    def test_no_first_call_passes(self):
        for spec in (CPP_HTTP, REUSE_PORT, PYTHON_HTTP, MODERN_HTTP, EVERYTHING_HTTP):
            tool = spec.denied[0]
            with self.case(server=spec.name):
                client, server = self.first_call(spec, tool)
                if spec.log_option:
                    self.assert_received(server, b"eager-mark")  # without the agent it is what the server gets first
                agent = self.agent({"deny": policy(spec.match, denied=tool)})
                for _ in range(self.ROUNDS):
                    client, server = self.first_call(spec, tool)
                    self.assert_denial(client.response, 1)
                    if spec.log_option:
                        self.assert_not_received(server, b"eager-mark")
                    server.kill()
                self.assert_judged(agent, "tools/call", "deny", count=self.ROUNDS)
                self.assertEqual(agent.status()["kernel"]["listen_expired"], 0)
                self.stop_agent(agent)

    def test_an_allowed_first_call_is_answered(self):
        agent = self.agent({"allow": policy(CPP_HTTP.match)})
        for _ in range(self.ROUNDS):
            client, server = self.first_call(CPP_HTTP, "write_note")
            self.assertEqual(client.response.json()["result"]["content"][0]["text"], "done")
            server.kill()
        self.assert_judged(agent, "tools/call", count=self.ROUNDS)

    def test_a_policy_by_address(self):
        """Named by nothing but where it listens."""
        port = free_port()
        agent = self.agent({"deny": policy({"listen": f"127.0.0.1:{port}"}, denied="delete_note")})
        for _ in range(self.ROUNDS):
            client = EagerClient(port, "delete_note")
            client.start()
            self.assertTrue(client.trying.wait(10))
            server = self.server(CPP_HTTP, port=port, wait=False, logged=True)
            client.join(30)
            self.assertIsNone(client.failure)
            self.assert_denial(client.response, 1)
            self.assert_not_received(server, b"eager-mark")
            server.kill()
        self.assert_judged(agent, "tools/call", "deny", count=self.ROUNDS)


if __name__ == "__main__":
    main()
