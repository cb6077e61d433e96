"""The published Node servers, over the socket pairs that Node clients make and over pipes."""
from governed import *  # noqa: F403
from governed import EVERYTHING, FILESYSTEM, MEMORY, EndToEnd, Governed, main, policy


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


if __name__ == "__main__":
    main()
