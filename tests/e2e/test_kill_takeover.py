"""kill -9 of the agent at each step of a take-over: the server runs on as it was, or is taken over, and nothing in between."""
import os
import re
import signal
from pathlib import Path

from governed import *  # noqa: F403
from governed import (FAULTS, LONG, MCP_SERVER, PYTHON, EndToEnd, cpp_server, echo, echoed, json, main, policy, policy_for,
                      steady_descriptors, wait_for)
from test_shared_input import STARTS_TWO

# Of the thread that makes the calls, of the take-over, and of the way to the loop and into the vault. "calls set 2": those that replace.
STEPS = ("frame written", "calls prepared", "mask blocked", "calls set", "calls begun", "calls made", "replacements made",
         "take-over kept", "calls set 2", "calls begun 2", "calls made 2", "ends closed", "mask set", "registers set",
         "taken over", "session placed", "ledger begun", "session kept", "session started")
SERVERS = (cpp_server("--readv"), cpp_server("--epoll"))
CHANNELS = ("pipe", "socketpair")


def kept(pid, server):
    """Descriptors and signals. A number that the server has taken meanwhile is the next one that was free then."""
    table = steady_descriptors(pid, server)
    return [table[number] for number in range(3)], sorted(table.values()), signals(pid)


def signals(pid):
    return re.findall(r"Sig(?:Blk|Ign|Cgt):\t\w+", Path(f"/proc/{pid}/status").read_text())


class TestKillDuringTakeover(EndToEnd):
    def one(self, agent, fault, step, server, channel, undisturbed):
        fault.write_text(step)
        before = agent.pid
        client = self.client(server.command, channel=channel)
        texts = [f"{step} {number}" for number in range(3)]
        asked = [echo(client, server, text) for text in texts]
        agent.wait_ready()
        self.assertNotEqual(agent.pid, before)
        self.assertFalse(fault.exists(), "nobody came by this step")
        self.assertEqual([echoed(client.answer(each)) for each in asked], texts)
        session = self.assert_enforced(agent, client.pid)
        self.assert_denied(client.call(*server.denied))
        self.assertEqual(kept(client.pid, server), undisturbed)
        client.close_stdin()
        self.assertEqual(client.read_rest(), [], "somebody answered twice")
        self.assertEqual(client.wait(), server.exit_code)
        ended = agent.wait_audit("session_end", session=session["session"])[0]
        self.assertEqual((ended["reason"], ended["frames"]["denied"], ended["conserved"]), ("ended", 1, True))

    def test_each_step(self):
        fault = self.directory() / "step"
        os.environ["CALLGATE_FAULT_FILE"] = str(fault)
        self.addCleanup(os.environ.pop, "CALLGATE_FAULT_FILE")
        for server in SERVERS:
            channels = CHANNELS if LONG else CHANNELS[SERVERS.index(server):][:1]
            for channel in channels:
                with self.case(server=server.name, channel=channel):
                    agent = self.agent({"p": policy_for(server)}, keeper=True, binary=FAULTS)
                    client = self.client(server.command, channel=channel)
                    client.initialize()
                    self.assert_denied(client.call(*server.denied))
                    undisturbed = kept(client.pid, server)
                    self.assertEqual(client.shutdown(), server.exit_code)
                    for step in STEPS:
                        with self.subTest(step=step):
                            self.one(agent, fault, step, server, channel, undisturbed)

    def test_no_agent_comes(self):
        """Undone, or ended as the policy says where the server had been taken over: nothing hangs."""
        fault = self.directory() / "step"
        os.environ["CALLGATE_FAULT_FILE"] = str(fault)
        self.addCleanup(os.environ.pop, "CALLGATE_FAULT_FILE")
        server = cpp_server("--readv")
        for step in ("take-over kept", "calls set 2"):
            for fail in ("open", "closed"):
                with self.case(step=step, fail=fail):
                    agent = self.agent({"p": policy_for(server, fail=fail)}, keeper=True, binary=FAULTS)
                    (agent.config_directory / "callgate.json").write_text('{"nonsense": 1}')
                    fault.write_text(step)
                    client = self.client(server.command)
                    asked = echo(client, server, "first")
                    self.assertEqual(agent.process.wait(20), 78)
                    if fail == "closed" and step == "calls set 2":
                        client.read_rest()
                        self.assertEqual(client.wait(), server.exit_code)
                        continue
                    self.assertEqual(echoed(client.answer(asked)), "first")
                    for number, end in client.original_ends.items():
                        self.assertEqual(os.readlink(f"/proc/{client.pid}/fd/{number}"), end)
                    self.assertEqual(client.shutdown(), server.exit_code)

    def test_joining(self):
        """A second process has the session's input: it shares what the first was given, and no other session reads what theirs does."""
        fault = self.directory() / "step"
        os.environ["CALLGATE_FAULT_FILE"] = str(fault)
        self.addCleanup(os.environ.pop, "CALLGATE_FAULT_FILE")
        server = [MCP_SERVER, "--label=shared-input"]
        for channel in CHANNELS:
            for step in ("server stopped", "rest copied", "hand-back begun", "input given back", "output given back"):
                with self.case(channel=channel, step=step):
                    agent = self.agent({"p": policy({"command": "*shared-input*"}, denied="delete_note")}, keeper=True, binary=FAULTS)
                    # The first reads nothing; the second is started on SIGUSR1.
                    client = self.client([PYTHON, "-c", STARTS_TWO], channel=channel,
                                         env={"TWO": json.dumps([[*server, "--late", "2000000"], server])})
                    session = agent.wait_audit("session_start")[0]["session"]
                    before = agent.pid
                    fault.write_text(step)
                    os.kill(client.pid, signal.SIGUSR1)
                    client.initialize()
                    agent.wait_ready()
                    self.assertNotEqual(agent.pid, before)
                    self.assertFalse(fault.exists(), "nobody came by this step")
                    for number in range(50):
                        answer = client.call("echo", {"text": str(number)})
                        self.assertEqual(answer["result"]["content"][0]["text"], str(number))
                    self.assert_denied(client.call("delete_note"))
                    self.assertEqual([each["session"] for each in agent.audit("session_start")], [session])
                    self.assertEqual(client.shutdown(), 0)


if __name__ == "__main__":
    main()
