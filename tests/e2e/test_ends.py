"""Servers and clients end in every order, as without the agent."""
from governed import *  # noqa: F403
from governed import EVERYTHING, NOTES_PY, EndToEnd, cpp_server, main, os, policy, wait_for

CHANNELS = ("pipe", "socketpair")


class TestEnds(EndToEnd):
    """How a session can end; each is done without the agent first, and must look the same with it."""

    def both(self, scenario, server, **options):
        for channel in CHANNELS:
            with self.case(channel=channel):
                def once():
                    client = self.client(server.command, channel=channel, **options)
                    client.initialize()
                    client.request("ping")
                    return scenario(client)
                direct = once()
                agent = self.agent({"p": policy(server.match)})
                self.assertEqual(once(), direct)
                agent.wait_audit("session_end")
                wait_for(lambda: agent.sessions() == [], "the session's end", seconds=10, interval=0.02)
                self.stop_agent(agent)

    def test_end_of_input(self):
        self.both(lambda c: c.shutdown(), NOTES_PY)

    def test_the_server_is_killed(self):
        def scenario(client):
            client.process.kill()
            return client.read_rest(), client.wait()
        self.both(scenario, NOTES_PY)

    def test_the_server_is_terminated(self):
        def scenario(client):
            client.process.terminate()
            return client.read_rest(), client.wait()
        self.both(scenario, EVERYTHING)

    def test_the_server_exits_by_itself(self):
        def scenario(client):
            client.post("ping")
            client.post("tools/call", {"name": "exit", "arguments": {"code": 42}})
            return client.read_rest(), client.wait()
        self.both(scenario, cpp_server("--readv"))

    def test_the_client_closes_everything(self):
        def scenario(client):
            client.close_stdin()
            client.close_stdout()
            return client.wait()
        self.both(scenario, NOTES_PY)

    def test_the_client_stops_listening(self):
        """The server's next answer must break its pipe, as it does without the agent."""
        def scenario(client):
            client.close_stdout()
            code = None
            for _ in range(1000):  # each answer is one more chance to notice
                try:
                    client.send(b'{"jsonrpc":"2.0","id":5,"method":"ping"}\n', read=False)
                except BrokenPipeError:
                    break
                try:
                    code = client.wait(0.02)
                    break
                except Exception:  # still running
                    continue
            client.close_stdin()
            return client.wait() if code is None else code
        self.both(scenario, cpp_server("--readv"))

    def test_a_client_that_is_killed(self):
        """kill -9 of the process that holds the client's ends: the server sees the end of its input."""
        for server in (NOTES_PY, EVERYTHING):
            with self.case(server=server.name):
                agent = self.agent({"p": policy(server.match)})
                client = self.sdk_client(server.command, [{"call": {"name": "echo", "arguments": server.allowed[1]}}, {"wait": True}])
                pid = client.event()["connected"]["pid"]
                self.assertIn("result", client.event())
                client.process.kill()
                wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "the server's end", seconds=20)
                agent.wait_audit("session_end")


if __name__ == "__main__":
    main()
