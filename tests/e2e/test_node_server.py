"""The published Node servers, over the socket pairs that Node clients make and over pipes."""
from governed import *  # noqa: F403
from governed import EVERYTHING, FILESYSTEM, MEMORY, EndToEnd, Governed, Path, main, policy


class TestNodeServers(Governed, EndToEnd):
    SERVERS = (EVERYTHING, FILESYSTEM, MEMORY)
    CHANNELS = ("socketpair", "pipe")


class TestUngoverned(EndToEnd):
    def test_a_server_that_no_policy_names_is_left_alone(self):
        agent = self.agent({"other": policy({"package": "no-such-package"}, default="deny")})
        client = self.client(EVERYTHING.command, channel="socketpair")
        client.initialize()
        self.assert_result(client.call(*EVERYTHING.denied))
        self.assertEqual(client.shutdown(), 0)
        self.assertEqual(agent.audit("message"), [])


class TestRenamed(EndToEnd):
    def test_a_server_with_another_title_is_found_when_the_agent_comes_later(self):
        """process.title overwrites the command line that /proc shows."""
        for match in (EVERYTHING.match, {"command": "*server-everything/dist/index.js stdio"}):
            with self.case(match=match):
                client = self.client(EVERYTHING.command, channel="socketpair", env={"NODE_OPTIONS": "--title=renamed"})
                client.initialize()
                self.assertEqual(Path(f"/proc/{client.pid}/cmdline").read_text().strip("\0"), "renamed")
                agent = self.agent({"p": policy(match, denied=EVERYTHING.denied[0])})
                self.assert_denied(client.call(*EVERYTHING.denied))
                self.assertIn("server-everything", self.assert_enforced(agent)["server"]["command"])
                self.assertEqual(client.shutdown(), 0)


if __name__ == "__main__":
    main()
