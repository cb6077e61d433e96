"""Several processes with one input: whoever reads it is governed, in one session, and no byte goes to another."""
import signal

from governed import *  # noqa: F403
from governed import MCP_SERVER, PYTHON, EndToEnd, descriptors, json, main, os, policy, time, wait_for

MATCH = {"command": "*shared-input*"}
SERVER = [MCP_SERVER, "--label=shared-input"]

# A child that only keeps the descriptors, as workers and resource trackers do; it is the younger of the two.
FORKS_THEN_SERVES = """
import os, signal, sys
if os.fork() == 0:
    signal.pause()
os.execv(sys.argv[2], sys.argv[2:])
"""
# Two servers with one input; the second is started on SIGUSR1. Nothing in its own command line says what they are.
STARTS_TWO = """
import json, os, signal, subprocess, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
unblock = lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
first, second = json.loads(os.environ["TWO"])
running = subprocess.Popen(first, preexec_fn=unblock)
signal.sigwait([signal.SIGUSR1])
code = subprocess.call(second, preexec_fn=unblock)
running.kill()
running.wait()
sys.exit(code)
"""


class TestSharedInput(EndToEnd):
    def check(self, client):
        client.initialize()
        self.assert_denied(client.call("delete_note"))
        for number in range(50):
            self.assertEqual(client.call("echo", {"text": str(number)})["result"]["content"][0]["text"], str(number))

    def assert_quick_stop(self, agent):
        """Nothing that the session's server was sent waits for somebody who does not read."""
        start = time.monotonic()
        self.stop_agent(agent)
        self.assertLess(time.monotonic() - start, 5)

    def test_adopted_while_a_younger_child_holds_the_descriptors(self):
        for options in ((), ("--epoll",), ("--threads", "2")):
            for channel in ("pipe", "socketpair"):
                with self.case(options=options, channel=channel):
                    client = self.client([PYTHON, "-c", FORKS_THEN_SERVES, "shared-input", *SERVER, *options], channel=channel)
                    client.initialize()
                    seen = descriptors(client.pid)
                    agent = self.agent({"p": policy(MATCH, denied="delete_note")})
                    self.check(client)
                    self.assertEqual(descriptors(client.pid), seen)
                    self.assertEqual(self.assert_enforced(agent)["server"]["pid"], client.pid)
                    self.assertEqual(len(agent.wait_audit("session_start", count=1)), 1)
                    self.assertEqual(len(agent.wait_audit("session_joined", count=1)), 1)
                    self.assert_quick_stop(agent)
                    self.assertEqual(client.call("echo", {"text": "alone"})["result"]["content"][0]["text"], "alone")

    def start_two(self, channel, first, second):
        return self.client([PYTHON, "-c", STARTS_TWO], channel=channel, env={"TWO": json.dumps([first, second])})

    def test_a_second_process_reads_what_the_first_has_left(self):
        """The first server does not read what it is sent; one that is started later with the same input does, whether
        the policy names that one too or not."""
        for second in (SERVER, [MCP_SERVER, "--label=unnamed"]):
            for channel in ("pipe", "socketpair"):
                with self.case(second=second, channel=channel):
                    agent = self.agent({"p": policy(MATCH, denied="delete_note")})
                    client = self.start_two(channel, [*SERVER, "--late", "2000000"], second)
                    agent.wait_audit("session_start")
                    early = client.post("tools/call", {"name": "echo", "arguments": {"text": "early"}})
                    wait_for(lambda: agent.status()["frames"]["forwarded"] == 1, "the first call being forwarded")
                    os.kill(client.pid, signal.SIGUSR1)
                    self.assertEqual(client.answer(early)["result"]["content"][0]["text"], "early")
                    self.check(client)
                    agent.wait_audit("session_joined")
                    self.assertEqual([len(agent.audit(f"session_{what}")) for what in ("start", "joined", "end")], [1, 1, 0])
                    self.assert_quick_stop(agent)
                    self.assertEqual(client.call("echo", {"text": "alone"})["result"]["content"][0]["text"], "alone")
                    self.assertEqual(client.shutdown(), 0)

    def test_the_first_does_not_notice_the_second(self):
        """It goes on without blocking in its reads: O_NONBLOCK is shared by all who have the channel."""
        for channel in ("pipe", "socketpair"):
            with self.case(channel=channel):
                agent = self.agent({"p": policy(MATCH, denied="delete_note")})
                client = self.start_two(channel, [*SERVER, "--epoll"], [MCP_SERVER, "--label=unnamed", "--late", "2000000"])
                client.initialize()
                first = self.assert_enforced(agent)["server"]["pid"]
                seen = descriptors(first, inodes=True)
                self.assertTrue(int(seen[0][1], 8) & os.O_NONBLOCK)
                os.kill(client.pid, signal.SIGUSR1)
                agent.wait_audit("session_joined")
                self.assertEqual(descriptors(first, inodes=True), seen)
                self.check(client)

    def test_a_second_process_under_another_policy(self):
        """It is judged by its own policy, in a session of its own; what the first did not read is said."""
        for channel in ("pipe", "socketpair"):
            with self.case(channel=channel):
                agent = self.agent({"p": policy(MATCH), "q": policy({"command": "*second-input*"}, denied="delete_note")})
                client = self.start_two(channel, [*SERVER, "--late", "2000000"], [MCP_SERVER, "--label=second-input"])
                agent.wait_audit("session_start")
                client.send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
                wait_for(lambda: agent.status()["frames"]["forwarded"] == 1, "the notification being forwarded")
                os.kill(client.pid, signal.SIGUSR1)
                reason = agent.wait_audit("session_end")[0]["reason"]
                self.assertEqual(reason, "superseded: another process reads the same input, "
                                 f"{'55' if channel == 'pipe' else 'some'} bytes were not read by the server")
                self.check(client)
                self.assert_quick_stop(agent)
                self.assertEqual(client.call("echo", {"text": "alone"})["result"]["content"][0]["text"], "alone")
                self.assertEqual(client.shutdown(), 0)


if __name__ == "__main__":
    main()
