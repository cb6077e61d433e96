"""More happens while the agent is stopped than the kernel has room to tell: that is counted and said, and what was missed is
found."""
import os
import signal

from governed import *  # noqa: F403
from governed import MCP_SERVER, Path, cpp_server, main, policy, subprocess, wait_for
from test_stopped_agent import Stopped, stop_all_threads

FLOOD = Path(MCP_SERVER).parent / "exec_flood"
RING_BYTES, EVENT_BYTES = 1 << 20, 200  # of the kernel's events: one takes more than so many


class TestLostEvents(Stopped):
    def overflow(self, agent):
        """Programs with a pipe as input and output, one after the other in one process, until events were lost."""
        number = RING_BYTES // EVENT_BYTES + 500
        process = subprocess.Popen([str(FLOOD), str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdin.close()
        process.stdout.read()
        self.assertEqual(process.wait(120), 0)
        process.stdout.close()

    def test_what_was_missed_is_found(self):
        server = cpp_server("--label=missed")
        agent = self.agent({"p": policy({"command": "*--label=missed*"}, denied="delete_note")})
        before, = [self.client(server.command)]
        before.initialize()
        try:
            stop_all_threads(agent)
            self.overflow(agent)
            clients = [self.client(server.command, channel=("pipe", "socketpair")[n % 2]) for n in range(4)]
            for client in clients:  # that nobody judges: their events were lost
                client.initialize()
        finally:
            os.kill(agent.pid, signal.SIGCONT)
        lost = sum(record["lost"] for record in agent.wait_audit("events_lost"))
        kernel = agent.status()["kernel"]
        self.assertGreater(lost, 0)
        self.assertEqual(kernel["events_lost"], lost)
        self.assertEqual(kernel["events_seen"], kernel["events_sent"] + lost)
        self.assertIn(f"{lost} events lost", agent.log())
        wait_for(lambda: len([s for s in agent.sessions() if s["state"] == "enforced"]) == 5, "all servers being governed")
        for client in (before, *clients):
            self.assert_denied(client.call("delete_note"))
            self.assertEqual(client.shutdown(), 0)
        ended = agent.wait_audit("session_end", count=5)
        self.assertEqual({record["conserved"] for record in ended}, {True})
        # Nothing of the flood is left in the kernel's tables: whoever reads next is held and judged as ever.
        client = self.client(server.command)
        client.post("tools/call", {"name": "delete_note"}, identifier="first")
        self.assert_denied(client.answer("first"))
        client.shutdown()
        status = agent.status()
        self.assertEqual(status["frames"]["in"], status["frames"]["forwarded"] + status["frames"]["denied"])
        self.assertEqual(agent.stop(), 0)
        self.assert_nothing_left(agent)


if __name__ == "__main__":
    main()
