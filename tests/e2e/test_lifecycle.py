"""The agent comes and goes while sessions run."""
import contextlib
import os
import resource
import signal
import time
import unittest

from governed import *  # noqa: F403
from governed import (EVERYTHING, FAULTS, NOTES_BUN, NOTES_DENO, NOTES_PY, SANITIZERS, EndToEnd, Path, chosen, cpp_server, descendants,
                      echo, echoed, main, policy, policy_for, steady_descriptors, wait_for)

SERVERS = (EVERYTHING, NOTES_PY, NOTES_BUN, NOTES_DENO, cpp_server("--readv"), cpp_server("--epoll"), cpp_server("--threads", "4"),
           cpp_server("--dup"))
CHANNELS = ("pipe", "socketpair")


def kill_all(pids):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class TestComingAndGoing(EndToEnd):
    def test_nothing_to_do(self):
        agent = self.agent({"p": policy(NOTES_PY.match)})
        self.assertEqual(agent.sessions(), [])
        self.stop_agent(agent)

    def test_too_few_descriptors(self):
        """Said at the start: what leaves no room is refused, what leaves little is a problem."""
        def at_most(descriptors):
            return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
        with self.assertRaisesRegex(AssertionError, r"RLIMIT_NOFILE\) is 200.*LimitNOFILE="):
            self.agent({}, preexec=at_most(200))
        refused = self._agents[-1].process
        self.assertEqual(refused.wait(20), 78)
        refused.stdout.close()
        agent = self.agent({"p": policy(NOTES_PY.match)}, preexec=at_most(512))
        self.assertIn("room for 23 sessions", " ".join(agent.status()["problems"]))
        self.assertEqual(len(agent.audit("policy_problem")), 1)

    def test_at_the_limit_of_descriptors(self):
        """Those there are go on; of one more its policy says what becomes of it; when one has ended there is room again."""
        server = cpp_server("--readv")
        for on_blind in ("allow", "kill"):
            with self.case(on_blind=on_blind):
                agent = self.agent({"p": policy_for(server, on_blind=on_blind)},
                                   preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (280, 280)))
                clients = []
                while not agent.audit("session_blind"):
                    self.assertLess(len(clients), 70)
                    clients.append(self.client(server.command))
                    wait_for(lambda: len(agent.audit("session_start")) + len(agent.audit("session_blind")) == len(clients), "a decision")
                *governed, left = clients
                blind = agent.audit("session_blind")[0]
                self.assertIn("RLIMIT_NOFILE", blind["reason"])
                self.assertEqual((blind["server"]["pid"], blind["killed"]), (left.pid, on_blind == "kill"))
                if on_blind == "kill":
                    self.assertEqual(left.wait(), -signal.SIGKILL)
                else:
                    left.initialize()
                    self.assert_result(left.call(*server.denied))
                    left.shutdown()
                for client in governed:
                    client.initialize()
                    self.assert_denied(client.call(*server.denied))
                    self.assertEqual(client.shutdown(), server.exit_code)
                agent.wait_audit("session_end", count=len(governed))
                late = self.client(server.command)
                late.initialize()
                self.assert_denied(late.call(*server.denied))
                self.assertEqual(late.shutdown(), server.exit_code)

    @unittest.skipIf({"address", "thread"} & set(SANITIZERS), "a sanitizer reserves terabytes of address space")
    def test_too_little_memory(self):
        """Said at the start, of address space that limits what a session's ledger may take."""
        def at_most(gibibytes):
            return lambda: resource.setrlimit(resource.RLIMIT_AS, (gibibytes << 30, gibibytes << 30))
        agent = self.agent({"p": policy(NOTES_PY.match)}, preexec=at_most(8))
        self.assertRegex(" ".join(agent.status()["problems"]), r"RLIMIT_AS\) is 8589934592: room for \d+ sessions; .*LimitAS=")

    def test_room_for_descriptors_is_made_at_the_start(self):
        """The kernel makes the agent wait for held threads when it enlarges the table of descriptors: then nobody could answer them."""
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        agent = self.agent({"p": policy(NOTES_PY.match)})
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{agent.pid}/status").read_text().splitlines() if ":\t" in line)
        self.assertGreaterEqual(int(status["FDSize"]), min(most, 65536))

    def test_twice_adopted_twice_handed_back(self):
        for server in SERVERS:
            for channel in CHANNELS:
                with self.case(server=server.name, channel=channel):
                    client = self.client(server.command, channel=channel)
                    client.initialize()
                    before = steady_descriptors(client.pid, server, inodes=True)
                    for turn in ("first", "second"):
                        agent = self.agent({"p": policy_for(server)})
                        self.assert_denied(client.call(*server.denied))
                        self.assertEqual(echoed(client.answer(echo(client, server, turn))), turn)
                        self.stop_agent(agent)
                        self.assertEqual(steady_descriptors(client.pid, server, inodes=True), before)
                        self.assertEqual(echoed(client.answer(echo(client, server, "alone"))), "alone")
                    self.assertEqual(client.shutdown(), server.exit_code)

    def test_an_idle_session_is_handed_back(self):
        """The server sleeps in its read, with nothing under way, when the agent goes; it is not woken or interrupted."""
        for server in chosen((EVERYTHING, NOTES_PY, NOTES_DENO, cpp_server("--readv"), cpp_server("--epoll"))):
            for channel in CHANNELS:
                with self.case(server=server.name, channel=channel):
                    agent = self.agent({"p": policy(server.match)})
                    client = self.client(server.command, channel=channel)
                    client.initialize()
                    client.request("ping")
                    self.stop_agent(agent)
                    self.assertEqual(echoed(client.answer(echo(client, server, "alone"))), "alone")
                    self.assertEqual(client.shutdown(), server.exit_code)

    def test_half_a_frame_is_under_way(self):
        """The agent holds the first half when it is told to go; nothing of it is lost."""
        for channel in CHANNELS:
            with self.case(channel=channel):
                agent = self.agent({"p": policy_for(NOTES_PY)})
                client = self.client(NOTES_PY.command, channel=channel)
                client.initialize()
                client.request("ping")
                frame = b'{"jsonrpc":"2.0","id":77,"method":"tools/call","params":{"name":"echo","arguments":{"text":"whole"}}}\n'
                client.send(frame[:40])
                self.stop_agent(agent)
                client.send(frame[40:])
                self.assertEqual(echoed(client.answer(77)), "whole")
                self.assertEqual(client.shutdown(), 7)

    def test_an_answer_is_outstanding(self):
        server = cpp_server("--threads", "2")
        agent = self.agent({"p": policy(server.match)})
        client = self.client(server.command)
        client.initialize()
        slow = client.post("tools/call", {"name": "sleep", "arguments": {"ms": 1500}})
        client.request("ping")
        self.stop_agent(agent)
        self.assert_result(client.answer(slow))
        self.assertEqual(client.shutdown(), 0)

    def test_a_server_that_does_not_read_in_time(self):
        """A stop waits no longer than the configuration says; what the server has not read by then is said: all of it, however much
        of that has had no room in its input yet."""
        server = cpp_server("--readv")
        for keeper, count in ((False, 1), (False, 4000), (True, 4000)):
            with self.case(keeper=keeper, count=count):
                agent = self.agent({"p": policy(server.match)}, config={"stop_timeout_s": 1}, keeper=keeper)
                client = self.client(server.command)
                client.initialize()
                sleeping = client.post("tools/call", {"name": "sleep", "arguments": {"ms": 5000}})
                wait_for(lambda: Path(f"/proc/{client.pid}/syscall").read_text().startswith("230 "), "clock_nanosleep()")
                unread = b'{"jsonrpc":"2.0","id":8,"method":"ping"}\n' * count
                client.send(unread)
                wait_for(lambda: agent.status()["frames"]["forwarded"] == 3 + count, "the pings being forwarded")
                self.stop_agent(agent)
                self.assertEqual(agent.audit("session_end")[0]["reason"],
                                 f"handed back: the agent stops, {len(unread)} bytes were not read by the server")
                client.post("ping", identifier=9)
                self.assert_result(client.answer(sleeping))
                self.assert_result(client.answer(9))
                self.assertEqual(client.shutdown(), 0)

    def slow_agent(self, step, rules):
        os.environ["CALLGATE_SLOW_STEP"] = step
        self.addCleanup(os.environ.pop, "CALLGATE_SLOW_STEP", None)
        return self.agent({"p": rules}, binary=FAULTS)

    def assert_stopped(self, agent, client, server, asked):
        """The agent has been told to go, and the server has its own channels when it has."""
        agent.process.send_signal(signal.SIGTERM)
        self.assertEqual(agent.process.wait(20), 0, agent.log())
        self.assertEqual(echoed(client.answer(asked)), "asked before")
        for number, end in client.original_ends.items():
            self.assertEqual(os.readlink(f"/proc/{client.pid}/fd/{number}"), end)
        self.assertEqual(client.shutdown(), server.exit_code)

    def test_stopped_during_a_take_over(self):
        """The server has its replacement when the agent is told to go, and nobody else knows of it yet."""
        server = cpp_server("--readv")
        for others in (0, 1):
            with self.case(others=others):
                agent = self.slow_agent("taken over 300000", policy_for(server))
                earlier = [self.client(server.command) for _ in range(others)]
                for client in earlier:
                    client.initialize()
                client = self.client(server.command)
                asked = echo(client, server, "asked before")
                wait_for(lambda: os.readlink(f"/proc/{client.pid}/fd/0") != client.original_ends[0], "the swap", interval=0.001)
                self.assert_stopped(agent, client, server, asked)
                for other in earlier:
                    self.assertEqual(echoed(other.answer(echo(other, server, "alone"))), "alone")
                    self.assertEqual(other.shutdown(), server.exit_code)
                self.assertEqual({end["reason"] for end in agent.audit("session_end")}, {"handed back: the agent stops"})
                self.assertEqual(len(agent.audit("session_end")), 1 + others)

    @unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "one processor: nobody knows which half hears of a read")
    def test_stopped_while_a_held_read_waits_for_its_turn(self):
        """The half of the watcher that has heard of it is slow, and the other one begins the stop: it is let go."""
        server = cpp_server("--readv")
        second = sorted(os.sched_getaffinity(0))[1]  # on which the reader waits: those on the others hear of it
        agent = self.slow_agent("turn of the first half 300000", policy({"user": "root"}, denied=server.denied[0]))
        for _ in range(10):  # either may be the first to hear of it all the same
            client = self.client(server.command, preexec=lambda: os.sched_setaffinity(0, {second}))
            time.sleep(0.5)  # so that it is known, and waits in its read
            asked = echo(client, server, "asked before")
            stat = Path(f"/proc/{client.pid}/stat")
            time.sleep(0.05)  # longer than a take-over
            waits = stat.read_text().rpartition(") ")[2][0] == "t"
            if waits:
                break
        self.assertTrue(waits, "no read waited")
        self.assert_stopped(agent, client, server, asked)
        self.assertEqual([each for each in agent.audit("session_start") if each["server"]["pid"] == client.pid], [])

    def test_what_was_forked_before_the_take_over(self):
        """It has the original still, and may wait in a read of it: it shares what the server was given. Where who was to be
        taken over has ended, it is taken over itself."""
        self.addCleanup(os.environ.pop, "CALLGATE_SLOW_STEP")
        for step in ("to be identified", "to be stopped"):
            for options, channel in ((["--double-fork"], "pipe"), (["--double-fork", "--parents-end"], "pipe"),
                                     (["--double-fork"], "socketpair"), (["--double-fork", "--parents-end"], "socketpair")):
                with self.case(step=step, options=options, channel=channel):
                    os.environ["CALLGATE_SLOW_STEP"] = f"{step} 20000"
                    server = cpp_server(*options)
                    agent = self.agent({"p": policy_for(server)}, binary=FAULTS)
                    client = self.client(server.command, channel=channel)
                    time.sleep(0.5)  # so that it waits in its read
                    client.initialize()
                    self.assert_denied(client.call(*server.denied))
                    self.assert_result(client.call(*server.allowed))
                    self.assertEqual(agent.status()["sessions"]["enforced"], 1)
                    client.close_stdin()
                    self.assertEqual(client.read_rest(), [])
                    self.assertEqual(client.wait(), 0)
                    self.assertEqual(agent.wait_audit("session_end")[0]["frames"]["denied"], 1)
                    self.assertEqual(agent.audit("session_blind"), [])
                    self.stop_agent(agent)

    def test_forks_that_run_already(self):
        """All of them are found when the agent starts, and each is given the replacement once: where the youngest serves, and where
        the eldest does, beside one that does not read yet."""
        server = cpp_server("--double-fork")
        eldest = cpp_server("--readv")
        both = ["/bin/sh", "-c", f"exec 3<&0; {eldest.command[0]} --late 60000 <&3 3<&- & exec {' '.join(eldest.command)} 3<&-"]
        for command, channel in ((server.command, "pipe"), (server.command, "socketpair"), (both, "pipe"), (both, "socketpair")):
            with self.case(command=command[-1], channel=channel):
                client = self.client(command, channel=channel)
                self.addCleanup(kill_all, descendants(client.pid))
                client.initialize()
                agent = self.agent({"p": policy({"command": f"{server.command[0]} --*"}, denied="delete_note")})
                self.assert_denied(client.call("delete_note"))
                self.assert_result(client.call(*server.allowed))
                kill_all(descendants(client.pid) if command is both else [])
                self.assertEqual(client.shutdown(), 0)
                self.assertEqual([agent.audit(kind) for kind in ("session_blind", "session_superseded")], [[], []])
                taken = agent.status()["takeover"]
                self.assertEqual((taken["count"], taken["failed"]), (2 if command is both else 3, 0))
                self.stop_agent(agent)

    def test_forked_children_hold_the_replacement(self):
        server = cpp_server("--double-fork")
        agent = self.agent({"p": policy_for(server)})
        client = self.client(server.command)
        client.initialize()
        self.assert_denied(client.call(*server.denied))
        self.stop_agent(agent)
        self.assert_result(client.call(*server.allowed))
        self.assertEqual(client.shutdown(), 0)


if __name__ == "__main__":
    main()
