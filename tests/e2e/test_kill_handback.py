"""kill -9 of the agent at each step of a hand-back: the session is governed on, or goes back to its own channels, and nothing in between."""
import json
import os
import shutil
import signal
from pathlib import Path

from governed import *  # noqa: F403
from governed import FAULTS, LONG, NOTES_PY, EndToEnd, cpp_server, echo, echoed, main, policy_for, wait_for

STILL_GOVERNED = "hand-back asked for"
# Of the relay, of the hand-back, and of the thread that makes the calls: a socket pair, a message, what replaces and closes; for the
# input, then for the output. "calls made 3": the third of them.
STEPS = ("goes back", "quiet", "server stopped", "rest copied", "frame written", "calls prepared", "mask blocked", "hand-back begun",
         *(f"{what} {number}".removesuffix(" 1") for number in range(1, 7) for what in ("calls set", "calls begun", "calls made")),
         "input given back", "output given back", "mask set", "registers set")
SERVERS = (cpp_server("--epoll"), cpp_server("--readv"), cpp_server("--dup"), cpp_server("--threads", "2"), cpp_server("--double-fork"), NOTES_PY)
CHANNELS = ("pipe", "socketpair")
GIVEN_BACK = "handed back: the agent was killed at it"


def numbers(pid):
    return sorted(os.listdir(f"/proc/{pid}/fd"), key=int)


class TestKillDuringHandBack(EndToEnd):
    def setUp(self):
        self.fault = self.directory() / "step"
        os.environ["CALLGATE_FAULT_FILE"] = str(self.fault)
        self.addCleanup(os.environ.pop, "CALLGATE_FAULT_FILE")

    def begin(self, server, channel="pipe", binary=FAULTS, **more):
        agent = self.agent({"p": policy_for(server, **more)}, keeper=True, binary=binary)
        client = self.client(server.command, channel=channel)
        client.initialize()
        self.assert_denied(client.call(*server.denied))
        return agent, client

    def ask(self, client, server, text):
        """Calls that are under way when the hand-back begins, and after it: what waits for their answers."""
        return {echo(client, server, f"{text} {number}"): f"{text} {number}" for number in range(3)}

    def assert_answered(self, client, asked):
        self.assertEqual({identifier: echoed(client.answer(identifier)) for identifier in asked}, asked)

    def assert_own(self, client):
        for number, end in client.original_ends.items():
            self.assertEqual(os.readlink(f"/proc/{client.pid}/fd/{number}"), end)

    def assert_ends_well(self, client, server):
        client.close_stdin()
        self.assertEqual(client.read_rest(), [], "somebody answered twice")
        self.assertEqual(client.wait(), server.exit_code)

    def break_configuration(self, agent):
        path = agent.config_directory / "callgate.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "nonsense": 1}))

    def test_each_step(self):
        """Another agent comes: it gives back what was begun, and takes the server over as one that runs already."""
        for server in SERVERS if LONG else SERVERS[:1]:
            for channel in CHANNELS if LONG else CHANNELS[:1]:
                with self.case(server=server.name, channel=channel):
                    agent, client = self.begin(server, channel)
                    table = numbers(client.pid)
                    for step in (STILL_GOVERNED, *(STEPS if LONG else STEPS[::5])):
                        with self.subTest(step=step):
                            self.one(agent, client, server, step)
                            self.assertEqual(numbers(client.pid), table, "a number of ours is left")
                    self.assert_ends_well(client, server)

    def one(self, agent, client, server, step):
        before, session = agent.pid, agent.sessions()[0]["session"]
        asked = self.ask(client, server, step)
        self.fault.write_text(step)
        os.kill(before, signal.SIGTERM)
        agent.wait_ready()
        self.assertNotEqual(agent.pid, before)
        self.assertFalse(self.fault.exists(), "nobody came by this step")
        asked.update(self.ask(client, server, f"{step}, later"))
        self.assert_answered(client, asked)
        now = self.assert_enforced(agent)["session"]
        if step == STILL_GOVERNED:
            self.assertEqual(now, session)
        else:
            ended = agent.wait_audit("session_end", session=session)
            self.assertEqual([(end["reason"], end["conserved"]) for end in ended], [(GIVEN_BACK, True)])
        self.assert_denied(client.call(*server.denied))

    def test_a_thread_that_nothing_stops(self):
        """It waits in posix_spawn(3) while the next agent gives back what was begun, and goes on when it wakes."""
        fifo = self.directory() / "fifo"
        os.mkfifo(fifo)
        server = cpp_server("--spawns", str(fifo))
        agent, client = self.begin(server)
        tasks = Path(f"/proc/{client.pid}/task")
        before = agent.pid
        self.fault.write_text("goes back")
        os.kill(before, signal.SIGTERM)
        agent.wait_ready()
        self.assertNotEqual(agent.pid, before)
        self.assertEqual(agent.wait_audit("session_end")[0]["reason"], GIVEN_BACK)
        self.assertEqual(len(list(tasks.iterdir())), 2)
        with open(fifo, "w"):
            pass
        wait_for(lambda: len(list(tasks.iterdir())) == 1, "the thread's end", seconds=10)
        self.assert_enforced(agent)
        self.assert_denied(client.call(*server.denied))
        self.assert_result(client.call(*server.allowed))
        self.assert_ends_well(client, server)

    def test_no_agent_comes(self):
        """What had begun is finished; what had not becomes what the policy says."""
        for step, fail, goes_on in ((STILL_GOVERNED, "closed", False), (STILL_GOVERNED, "open", True), ("goes back", "closed", True),
                                    ("input given back", "closed", True)):
            with self.case(step=step, fail=fail):
                server = SERVERS[0]
                agent, client = self.begin(server, fail=fail)
                self.break_configuration(agent)
                asked = self.ask(client, server, step)
                self.fault.write_text(step)
                os.kill(agent.pid, signal.SIGTERM)
                self.assertEqual(agent.process.wait(20), 78)
                self.assertFalse(self.fault.exists(), "nobody came by this step")
                if not goes_on:
                    client.read_rest()
                    self.assertEqual(client.wait(), server.exit_code)
                    continue
                self.assert_answered(client, {**asked, **self.ask(client, server, "later")})
                self.assert_own(client)
                self.assert_ends_well(client, server)

    def test_an_agent_that_gives_back_what_nobody_can_go_on_with(self):
        """The same of the one that does it because none can start."""
        for step in ("goes back", "calls made 3"):
            with self.case(step=step):
                server = SERVERS[0]
                agent, client = self.begin(server, "socketpair", fail="open")
                self.break_configuration(agent)
                asked = self.ask(client, server, step)
                agent.wait_audit("message", count=len(asked), direction="c2s", tool="echo")  # judged: what is not is denied
                self.fault.write_text(step)
                os.kill(agent.pid, signal.SIGKILL)
                self.assertEqual(agent.process.wait(20), 78)
                self.assertFalse(self.fault.exists(), "nobody came by this step")
                self.assert_answered(client, {**asked, **self.ask(client, server, "later")})
                self.assert_own(client)
                self.assert_ends_well(client, server)

    def test_the_keeper_is_stopped(self):
        """It starts another agent, which is stopped, too."""
        for step in ("quiet", "input given back"):
            with self.case(step=step):
                server = SERVERS[0]
                agent, client = self.begin(server)
                asked = self.ask(client, server, step)
                self.fault.write_text(step)
                agent.process.send_signal(signal.SIGTERM)
                self.assertEqual(agent.process.wait(20), 0)
                self.assertFalse(self.fault.exists(), "nobody came by this step")
                self.assert_answered(client, {**asked, **self.ask(client, server, "later")})
                self.assert_own(client)
                self.assert_ends_well(client, server)

    def test_the_keeper_is_stopped_and_agents_end_in_vain(self):
        """Those that follow the killed one end before they are ready, until the keeper starts its own binary: in a stop that has
        begun, and where it begins in the pause between two of them."""
        for begun in (True, False):
            for end in ("kill -9 $$", "exit 70"):
                with self.case(begun=begun, end=end):
                    server = SERVERS[0]
                    binary = self.directory() / "callgate"
                    shutil.copy(FAULTS, binary)
                    agent, client = self.begin(server, binary=binary, fail="closed")
                    self.break_binary(binary, end)
                    asked = self.ask(client, server, "before")
                    if begun:
                        self.fault.write_text("quiet")
                    else:
                        os.kill(agent.pid, signal.SIGKILL)
                        wait_for(lambda: "another starts in" in agent.log(), "the pause")
                    agent.process.send_signal(signal.SIGTERM)
                    self.assertEqual(agent.process.wait(20), 0, agent.log())
                    self.assertFalse(self.fault.exists(), "nobody came by this step")
                    self.assert_answered(client, {**asked, **self.ask(client, server, "later")})
                    self.assert_own(client)
                    self.assert_ends_well(client, server)

    @staticmethod
    def break_binary(binary, end):
        other = binary.with_suffix(".new")
        other.write_text(f"#!/bin/sh\n[ \"$1\" != run ] || {end}\n")
        other.chmod(0o755)
        other.rename(binary)


if __name__ == "__main__":
    main()
