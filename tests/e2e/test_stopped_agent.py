"""The agent is stopped (SIGSTOP) and goes on later: nobody is held for longer than the bound, and nothing is lost.
CALLGATE_LONG=1: for 30 seconds.
"""
import os
import signal
import time

from governed import *  # noqa: F403
from governed import LONG, EndToEnd, Path, cpp_server, echo, echoed, main, policy, wait_for

STOPPED_SECONDS = 30 if LONG else 2
EARLY = 15  # calls of each session that fit in the smallest pipe
HOLD_SECONDS = 0.1  # the kernel's bound; a sixteenth of it once two in a row had no answer


def stop_all_threads(agent):
    os.kill(agent.pid, signal.SIGSTOP)
    wait_for(lambda: all("State:\tT" in status.read_text() for status in Path(f"/proc/{agent.pid}/task").glob("*/status")),
             "all threads of the agent being stopped")


class Stopped(EndToEnd):
    def _run_once(self, result):
        """Here holds run out on purpose: that is no reason to run a test again."""
        super()._run_once(result)
        return 0


class TestStoppedAgent(Stopped):
    def started(self, server, count):
        clients = [self.client(server.command, channel=("pipe", "socketpair")[n % 2]) for n in range(count)]
        for client in clients:
            client.initialize()
        return clients

    def test_live_sessions_and_servers_that_start(self):
        live, allowed, killed = (cpp_server(f"--label={name}") for name in ("live", "may-be-blind", "must-not-be-blind"))
        match = lambda server: {"command": f"*{server.command[-1]}*"}  # noqa: E731
        agent = self.agent({"live": policy(match(live), denied="delete_note"),
                            "allowed": policy(match(allowed), denied="delete_note", on_blind="allow"),
                            "killed": policy(match(killed), denied="delete_note", on_blind="kill")})
        clients = self.started(live, 6)
        begun = time.monotonic()
        try:
            stop_all_threads(agent)
            asked = [[echo(client, live, f"{number}"), client.post("tools/call", {"name": "delete_note"})]
                     for number in range(EARLY) for client in clients]
            # Each reads its first frame after the hold has run out, and so goes on.
            blind = []
            for server in (allowed, killed) * 3:
                client = self.client(server.command)
                waited = time.monotonic()
                client.initialize()
                waited = time.monotonic() - waited
                blind.append((server, client, waited))
                self.assertEqual(echoed(client.answer(echo(client, server, "ungoverned"))), "ungoverned")
            wait_for(lambda: time.monotonic() - begun > STOPPED_SECONDS, "the end of the stop", seconds=STOPPED_SECONDS + 5)
            self.assertEqual([client.lines for client in clients], [client.lines.__class__()] * 6)
        finally:
            os.kill(agent.pid, signal.SIGCONT)
        print(f"stopped for {time.monotonic() - begun:.1f} s; servers that started then answered after "
              f"{max(waited for *_, waited in blind):.3f} s at most")
        # The bound, and what a busy host takes for the start of a process and for two round trips.
        self.assertLess(max(waited for *_, waited in blind), 10 * HOLD_SECONDS + 2)
        for number, identifiers in enumerate(asked):
            client = clients[number % len(clients)]
            self.assertEqual(echoed(client.answer(identifiers[0])), f"{number // len(clients)}")
            self.assert_denied(client.answer(identifiers[1]))
        for server, client, _ in blind:
            if server is killed:
                self.assertEqual(client.wait(), -signal.SIGKILL)
        # One for each read that went on: at least one of each server.
        blind_pids = lambda name: {event["server"]["pid"] for event in agent.audit("session_blind", policy=name)}  # noqa: E731
        for name, server in (("allowed", allowed), ("killed", killed)):
            pids = {client.pid for each, client, _ in blind if each is server}
            wait_for(lambda: blind_pids(name) == pids, f"{pids} being blind under the policy {name}", interval=0.05)
        events = agent.audit("session_blind")
        self.assertTrue(all("the hold ran out" in event["reason"] for event in events), events)
        self.assertGreaterEqual(agent.status()["kernel"]["hold_expired"], 6)
        # One that starts now is governed from its first byte.
        client, = self.started(killed, 1)
        self.assert_denied(client.call("delete_note"))
        for client in (client, *clients):
            self.assertEqual(client.shutdown(), 0)
        ended = [record for record in agent.wait_audit("session_end", count=7) if record["policy"] == "live"]
        self.assertEqual([record["frames"]["in"] for record in ended], [2 + 2 * EARLY] * 6)

    def test_a_server_that_ends(self):
        """Its parent is told when the bound is over. That exit was not held, once, and it is said why."""
        server = cpp_server()
        agent = self.agent({"p": policy(server.match)})
        client, = self.started(server, 1)
        try:
            stop_all_threads(agent)
            client.process.kill()
            self.assertEqual(client.wait(), -signal.SIGKILL)
        finally:
            os.kill(agent.pid, signal.SIGCONT)
        agent.wait_audit("session_end")
        status = agent.status()
        self.assertEqual((status["exits"], status["kernel"]["exit_expired"]), ({"held": 0, "unheld": 1, "overdue": 0}, 1))


if __name__ == "__main__":
    main()
