"""The agent has died, and none comes to go on with its sessions: they are handed back (fail: open) or end (closed), and nothing hangs."""
import json
import os
import shutil
import signal
import subprocess
import time

from governed import *  # noqa: F403
from callgate_harness.agent import Agent
from governed import BINARY, FAULTS, NOTES_PY, PYTHON, EndToEnd, cpp_server, echo, echoed, main, policy, policy_for, wait_for
from kept_sessions import has_counted_its_start
from test_kill import running_under

CHANNELS = ("pipe", "socketpair")
ENDED, HANDED_BACK = "ended: no agent could go on with it", "handed back: no agent could go on with it"


class TestAgentGone(EndToEnd):
    def kept(self, server, **more):
        return self.agent({"p": policy_for(server, **more)}, keeper=True)

    def break_configuration(self, agent):
        path = agent.config_directory / "callgate.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "nonsense": 1}))

    def kill(self, agent):
        os.kill(agent.pid, signal.SIGKILL)
        return time.monotonic()

    def test_closed_ends_at_once(self):
        """The next agent cannot start, and says so: from then on both sides see an end."""
        server = cpp_server("--readv")
        for channel in CHANNELS:
            for more in ({}, {"fail": "closed"}):
                with self.case(channel=channel, **more):
                    agent = self.kept(server, **more)
                    client = self.client(server.command, channel=channel)
                    client.initialize()
                    self.break_configuration(agent)
                    self.kill(agent)
                    self.assertEqual(agent.process.wait(20), 78)
                    given_up = time.monotonic()
                    client.read_rest()
                    self.assertEqual(client.wait(), server.exit_code)
                    self.assertLess(time.monotonic() - given_up, 1)
                    self.assertEqual([end["reason"] for end in agent.audit("session_end")], [ENDED])

    def test_open_goes_on_without_an_agent(self):
        """A call is under way, half of another is with the agent, and an answer is outstanding: nothing of it is lost."""
        server = cpp_server("--threads", "2")
        for channel in CHANNELS:
            with self.case(channel=channel):
                agent = self.kept(server, fail="open")
                client = self.client(server.command, channel=channel)
                client.initialize()
                self.assert_denied(client.call(*server.denied))
                slow = client.post("tools/call", {"name": "sleep", "arguments": {"ms": 1500}})
                before = agent.sessions()[0]["frames"]["client_bytes"]
                half = b'{"jsonrpc":"2.0","id":77,"method":"tools/call","params":{"name":"ec'
                client.send(half)
                wait_for(lambda: agent.sessions()[0]["frames"]["client_bytes"] == before + len(half), "the first half")
                self.break_configuration(agent)
                self.kill(agent)
                self.assertEqual(agent.process.wait(20), 78)
                client.send(b'ho","arguments":{"text":"whole"}}}\n')
                self.assertEqual(echoed(client.answer(77)), "whole")
                self.assert_result(client.answer(slow))
                for number, end in client.original_ends.items():
                    self.assertEqual(os.readlink(f"/proc/{client.pid}/fd/{number}"), end)
                self.assert_result(client.call(*server.denied))
                self.assertEqual(client.shutdown(), server.exit_code)
                ended = agent.audit("session_end")
                self.assertEqual([end["reason"] for end in ended], [HANDED_BACK])
                self.assertIs(ended[0]["conserved"], True)

    def lose_counters(self, agent):
        """The policies are as they were; what has been counted, pinned and approved is not to be had."""
        (agent.directory / "state" / "state.db-wal").unlink()
        (agent.directory / "state" / "state.db").write_bytes(b"damaged" * 1000)

    def test_calls_that_wait_are_denied(self):
        """Nobody has allowed them, and who is left knows neither what was counted nor whom to ask."""
        approval = {"action": "require_approval", "hold_ms": 60000}
        limit = {"limits": [{"counter": "c", "window": 300, "sliding": True, "max": 1, "on_exceed": "delay", "max_delay_ms": 600_000}]}
        for what, tool in (("approval", approval), ("limit", limit)):
            for gone in (self.break_configuration, self.lose_counters):
                with self.case(what=what, gone=gone.__name__):
                    server, log = self.logging_server()
                    agent = self.agent({"p": policy(server.match, tools={"echo": tool}, fail="open")}, keeper=True)
                    client = self.client(server.command)
                    client.initialize()
                    if what == "limit":
                        self.assertEqual(echoed(client.answer(echo(client, server, "first"))), "first")
                    held = echo(client, server, "held")
                    wait_for(lambda: agent.status()["frames"]["held"] == 1, "the call waiting")
                    gone(agent)
                    self.kill(agent)
                    self.assert_denied(client.answer(held), rule="(no agent)")
                    self.assertEqual(agent.process.wait(20), 78)
                    self.assertNotIn(b"held", log.read_bytes())
                    self.assertEqual(echoed(client.answer(echo(client, server, "ungoverned"))), "ungoverned")
                    self.assertEqual(client.shutdown(), 0)
                    ended = agent.audit("session_end")
                    self.assertEqual([(end["reason"], end["conserved"]) for end in ended], [(HANDED_BACK, True)])

    def test_what_nobody_has_judged_goes_nowhere(self):
        """The agent is killed between reading two calls and having judged them. The policy denies one of them."""
        fault = self.directory() / "step"
        os.environ["CALLGATE_FAULT_FILE"] = str(fault)
        self.addCleanup(os.environ.pop, "CALLGATE_FAULT_FILE")
        for fail in ("closed", "open"):
            for channel in CHANNELS:
                with self.case(fail=fail, channel=channel):
                    server, log = self.logging_server()
                    rules = policy_for(server, fail=fail)
                    rules["tools"]["echo"] = {"limits": [{"counter": "c", "window": "day", "max": 9}]}
                    agent = self.agent({"p": rules}, keeper=True, binary=FAULTS)
                    client = self.client(server.command, channel=channel)
                    client.initialize()
                    self.assert_denied(client.call(*server.denied))
                    self.break_configuration(agent)
                    fault.write_text("charged")
                    line = '{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"%s","arguments":{"text":"unjudged"}}}\n'
                    client.send((line % (71, "echo") + line % (72, "delete_note")).encode())
                    self.assertEqual(agent.process.wait(20), 78)
                    self.assertFalse(fault.exists(), "nobody came by this step")
                    if fail == "open":
                        for identifier in (71, 72):
                            self.assert_denied(client.answer(identifier), rule="(no agent)")
                    self.assertNotIn(b"unjudged", log.read_bytes())
                    if fail == "open":
                        self.assert_result(client.call(*server.denied))
                        self.assertEqual(client.shutdown(), 0)
                    else:
                        client.read_rest()
                        client.wait()
                        self.assertNotIn(b"unjudged", log.read_bytes())
                    self.assertEqual([end["conserved"] for end in agent.audit("session_end")], [True])

    def logging_server(self):
        """One that says in a file what it has read."""
        log = self.directory() / "read"
        return cpp_server("--readv", "--log", str(log)), log

    def test_a_policy_that_cannot_be_read_still_counts(self):
        """What it said last is known of each session."""
        for fail in ("open", "closed"):
            with self.case(fail=fail):
                agent = self.kept(NOTES_PY, fail=fail)
                client = self.client(NOTES_PY.command)
                client.initialize()
                (agent.config_directory / "policies.d" / "p.json").write_text("{")
                self.break_configuration(agent)
                self.kill(agent)
                self.assertEqual(agent.process.wait(20), 78)
                if fail == "open":
                    self.assert_result(client.call(*NOTES_PY.denied))
                    self.assertEqual(client.shutdown(), 7)
                else:
                    client.read_rest()
                    client.wait()

    def test_agents_that_end_before_they_are_ready(self):
        """The fifth in a row does not wait for a sixth; it goes on by itself, without the sessions."""
        for fail in ("open", "closed"):
            with self.case(fail=fail):
                agent = self.kept(NOTES_PY, fail=fail)
                client = self.client(NOTES_PY.command)
                client.initialize()
                before = agent.pid
                self.kill(agent)
                for _ in range(4):
                    before = wait_for(lambda: running_under(agent, before), "the next agent", seconds=20, interval=0.001)
                    wait_for(lambda: has_counted_its_start(before) or not os.path.exists(f"/proc/{before}"), "its start", interval=0.001)
                    os.kill(before, signal.SIGKILL)
                agent.wait_ready()
                if fail == "open":
                    self.assertEqual(echoed(client.answer(echo(client, NOTES_PY, "alone"))), "alone")
                else:
                    client.read_rest()
                    client.wait()
                self.assertEqual([end["reason"] for end in agent.wait_audit("session_end")], [HANDED_BACK if fail == "open" else ENDED])
                if fail == "open":
                    # Found again by the agent that has become ready, as what runs already.
                    self.assert_denied(client.call(*NOTES_PY.denied))
                    self.assertEqual(client.shutdown(), 7)

    def test_a_binary_that_cannot_be_started(self):
        """The keeper's own is started instead, and goes on with the sessions."""
        for said in ("", "#!/bin/sh\nexit 1\n"):
            with self.case(said=said):
                binary = self.directory() / "callgate"
                shutil.copy(BINARY, binary)
                agent = self.agent({"p": policy_for(NOTES_PY)}, keeper=True, binary=binary)
                client = self.client(NOTES_PY.command)
                client.initialize()
                broken = binary.with_suffix(".new")
                broken.write_text(said)
                broken.chmod(0o755 if said else 0o644)
                broken.rename(binary)
                self.kill(agent)
                agent.wait_ready()
                self.assert_denied(client.call(*NOTES_PY.denied))
                self.assertEqual(client.shutdown(), 7)
                shutil.copy(BINARY, binary.with_suffix(".good"))
                binary.with_suffix(".good").rename(binary)

    def guard(self, agent):
        words = [str(BINARY), "guard", "--config", str(agent.config_directory), "--scope-tree", str(os.getpid()), "--audit",
                 str(agent.audit_path), "--control", str(agent.control_path)]
        with open(agent.log_path, "ab") as log:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=log)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        wait_for(lambda: "no agent runs" in agent.log(), "the guard")
        return process

    def test_a_configuration_that_no_agent_starts_with(self):
        """The guard goes by what can be read of it, unless that leaves open whom it is about."""
        agent = Agent({"p": policy_for(NOTES_PY)})
        self._agents.append(agent)
        self.break_configuration(agent)
        guard = self.guard(agent)
        late = self.client(NOTES_PY.command)
        self.assertEqual(late.wait(5), -signal.SIGKILL)
        late.read_rest()
        guard.terminate()
        guard.wait()
        (agent.config_directory / "callgate.json").write_text('{"scop": {"users": ["root"]}}')
        done = subprocess.run([str(BINARY), "guard", "--config", str(agent.config_directory)], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=20)
        self.assertEqual(done.returncode, 78)
        self.assertIn("not kept out", done.stderr)

    def test_servers_that_start_before_the_guard_looks(self):
        """Between the last agent and the guard nobody sees them. Who was governed sees an end of its input, and is left alone."""
        for fail in ("closed", "open"):
            with self.case(fail=fail):
                agent = self.agent({"p": policy_for(NOTES_PY, fail=fail)})
                ends_slowly = self.client([PYTHON, "-c", "import sys, time; sys.stdin.read(); time.sleep(60)"])
                governed = self.client(NOTES_PY.command)
                governed.initialize()
                self.assert_denied(governed.call(*NOTES_PY.denied))
                time.sleep(1.5)  # the agent says at least once a second that it has seen everything
                agent.process.kill()
                agent.process.wait()
                late = self.client(NOTES_PY.command)
                late.initialize()
                guard = self.guard(agent)
                if fail == "closed":
                    self.assertEqual(late.wait(5), -signal.SIGKILL)
                    late.read_rest()
                    event = agent.wait_audit("session_blind")[0]
                    self.assertEqual((event["killed"], event["policy"], event["server"]["pid"]), (True, "p", late.pid))
                else:
                    self.assert_result(late.call(*NOTES_PY.denied))
                    self.assertEqual(late.shutdown(), 7)
                self.assertEqual(governed.wait(5), 7)
                self.assertIsNone(ends_slowly.process.poll())
                ends_slowly.process.kill()
                ends_slowly.wait()
                self.assertEqual(len(agent.audit("session_blind")), 1 if fail == "closed" else 0)
                guard.kill()
                guard.wait()

    def test_after_a_stop_nobody_is_missing(self):
        """What starts when the agent has been stopped is left alone, though the next one cannot start."""
        agent = self.agent({"p": policy_for(NOTES_PY)})
        self.assertEqual(agent.stop(), 0)
        late = self.client(NOTES_PY.command)
        late.initialize()
        guard = self.guard(agent)
        time.sleep(0.5)
        self.assert_result(late.call(*NOTES_PY.denied))
        self.assertEqual(late.shutdown(), 7)
        guard.kill()
        guard.wait()

    def test_the_audit_file_is_rotated_meanwhile(self):
        """Nobody tells the guard: it sees that its file has another name, and goes on in a new one."""
        agent = Agent({"p": policy_for(NOTES_PY)})
        self._agents.append(agent)
        guard = self.guard(agent)
        rotated = agent.audit_path.rename(agent.directory / "audit.jsonl.1")
        wait_for(agent.audit_path.exists, "the new file")
        late = self.client(NOTES_PY.command)
        self.assertEqual(late.wait(5), -signal.SIGKILL)
        late.read_rest()
        self.assertEqual(agent.wait_audit("session_blind")[0]["server"]["pid"], late.pid)
        self.assertEqual(rotated.read_text(), "")
        guard.kill()
        guard.wait()

    def test_servers_that_start_meanwhile(self):
        """They are kept out, where their policy fails closed, until an agent runs again; who ran before is left alone."""
        for fail in ("closed", "open"):
            with self.case(fail=fail):
                early = self.client(NOTES_PY.command)
                early.initialize()
                agent = Agent({"p": policy_for(NOTES_PY, fail=fail)})
                self._agents.append(agent)
                guard = self.guard(agent)
                late = self.client(NOTES_PY.command)
                if fail == "closed":
                    self.assertEqual(late.wait(5), -signal.SIGKILL)
                    late.read_rest()
                    event = agent.wait_audit("session_blind")[0]
                    self.assertEqual((event["killed"], event["policy"], event["server"]["pid"]), (True, "p", late.pid))
                else:
                    late.initialize()
                    self.assertEqual(late.shutdown(), 7)
                self.assert_result(early.call(*NOTES_PY.denied))
                agent.start()
                self.addCleanup(self._finish, agent)
                self.assertEqual(guard.wait(5), 0)
                self.assert_denied(early.call(*NOTES_PY.denied))
                governed = self.client(NOTES_PY.command)
                governed.initialize()
                self.assertEqual((early.shutdown(), governed.shutdown()), (7, 7))


if __name__ == "__main__":
    main()
