"""kill -9 of the agent at any instant: the next one goes on with every session, and nothing that it had in hand is lost."""
import collections
import random
import signal
import time

from governed import *  # noqa: F403
from governed import LONG, NOTES_PY, EndToEnd, Path, cpp_server, echo, echoed, json, main, os, policy, policy_for, wait_for
from kept_sessions import CHANNELS, Load, SessionsGoOn


def running_under(agent, before):
    """The process that the keeper has started, once it is an agent and not that of before."""
    keeper = agent.process.pid
    for pid in Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split():
        if int(pid) != before and os.path.exists(f"/proc/{pid}"):
            return int(pid)
    return None


class TestKill(SessionsGoOn, EndToEnd):
    killed = True

    def replace(self, agent):
        self.kill(agent)

    def kill(self, agent):
        os.kill(agent.pid, signal.SIGKILL)
        agent.wait_ready()

    @staticmethod
    def ready_after(agent, before):
        done = agent.command("status", "--json", check=False)
        pid = json.loads(done.stdout)["pid"] if done.returncode == 0 else before
        return pid if pid != before else None

    def test_ends_are_seen_at_once(self):
        """What is kept for the next agent keeps no end of file from anybody, while there is an agent and after a kill."""
        server = cpp_server("--readv")
        for channel in CHANNELS:
            for killed in (False, True):
                with self.case(channel=channel, killed=killed):
                    agent = self.kept({"p": policy_for(server)})
                    client = self.client(server.command, channel=channel)
                    client.initialize()
                    if killed:
                        self.kill(agent)
                    started = time.monotonic()
                    self.assertEqual(client.shutdown(), 0)
                    self.assertLess(time.monotonic() - started, 1)
                    agent.wait_audit("session_end")

    def test_the_client_or_the_server_ends_meanwhile(self):
        server = cpp_server("--readv")
        for channel in CHANNELS:
            for who in ("client", "server"):
                with self.case(channel=channel, who=who):
                    agent = self.kept({"p": policy_for(server)})
                    client = self.client(server.command, channel=channel)
                    client.initialize()
                    os.kill(agent.pid, signal.SIGSTOP)
                    asked = echo(client, server, "last") if who == "client" else None
                    if who == "client":
                        client.close_stdin()
                    else:
                        client.process.kill()
                    self.kill(agent)
                    if asked:
                        self.assertEqual(echoed(client.answer(asked)), "last")
                    client.read_rest()
                    self.assertEqual(client.wait(), 0 if who == "client" else -signal.SIGKILL)
                    agent.wait_audit("session_end")

    def test_an_agent_that_hangs_is_replaced(self):
        agent = self.kept({"p": policy_for(NOTES_PY)})
        client = self.client(NOTES_PY.command)
        client.initialize()
        os.kill(agent.pid, signal.SIGSTOP)
        asked = echo(client, NOTES_PY, "meanwhile")
        wait_for(lambda: "the agent hangs" in agent.log(), "the keeper to notice", seconds=40, interval=0.1)
        agent.wait_ready()
        self.assertEqual(echoed(client.answer(asked)), "meanwhile")
        self.assert_denied(client.call(*NOTES_PY.denied))
        self.assertEqual(client.shutdown(), 7)

    def test_under_load(self):
        """64 sessions, frames of 20 bytes to 1 MiB, a quarter of the calls denied; killed at random, each second time while it starts."""
        kills, sessions = (10000, 64) if LONG else (12, 64)
        server = cpp_server("--readv")
        agent = self.kept({"p": policy({"command": " ".join(server.command)}, denied="delete_note")})
        load = Load(server, sessions, depth=4, pause_ms=20, large_each=60)
        self.addCleanup(load.kill)
        wait_for(lambda: self.enforced(agent) == sessions, "the sessions")
        seed = random.randrange(1 << 30)
        chance = random.Random(seed)
        self.assertEqual(load.command("begin"), "begun")
        for turn in range(kills):
            before = agent.pid
            os.kill(before, signal.SIGKILL)
            if turn % 2:
                agent.pid = wait_for(lambda: running_under(agent, before), "the next agent", interval=0.001)
                time.sleep(chance.random() * 0.5)
            else:
                agent.pid = wait_for(lambda: self.ready_after(agent, before), "the next agent", seconds=60, interval=0.05)
                time.sleep(chance.random() * 0.3)
        agent.pid = wait_for(lambda: self.ready_after(agent, 0), "the last agent", seconds=60, interval=0.05)
        self.assertEqual(load.command("settle"), "settled")
        report, code, said = load.stop()
        print(f"{kills} kills, {sessions} sessions, seed {seed}: {json.dumps(report)}")
        self.assertEqual((code, said), (0, ""))
        ended = agent.wait_audit("session_end", count=sessions)
        self.assertEqual({record["reason"] for record in ended}, {"ended"})
        self.assertEqual(sum(record["frames"]["denied"] for record in ended), report["denied"])
        unseen = report["calls"] - sum(record["frames"]["in"] for record in ended)
        self.assertLessEqual(unseen, 4 * len(agent.audit("session_blind")))
        self.assertGreaterEqual(unseen, 0)
        self.assertEqual({record["conserved"] for record in ended}, {True})
        self.assertEqual(agent.audit("session_lost"), [])
        self.assert_recorded(agent, ended)

    def assert_recorded(self, agent, ended):
        """Every message that was forwarded or answered has its record, and only one: the same record may be there twice."""
        messages = agent.audit("message")
        written = collections.Counter(record["id"] for record in messages)
        self.assertLessEqual(max(written.values()), 2)
        found = collections.Counter((record["session"], record["direction"])
                                    for record in {record["id"]: record for record in messages}.values())
        for record in ended:
            frames = record["frames"]
            self.assertEqual((found[record["session"], "c2s"], found[record["session"], "s2c"]), (frames["in"], frames["server_in"]))
        self.assertEqual({"server", "peer", "policy"} - set(min(messages, key=len)), set())
        print(f"{len(messages)} records, {len(messages) - len(written)} of them twice")

    def test_a_record_is_not_lost(self):
        """The agent is killed as soon as the client has its answer."""
        server = cpp_server("--readv")
        agent = self.kept({"p": policy_for(server)})
        client = self.client(server.command)
        client.initialize()
        for _ in range(5):
            self.assert_denied(client.call(*server.denied))
            self.kill(agent)
            self.assertEqual(echoed(client.answer(echo(client, server, "x"))), "x")
            self.kill(agent)
        self.assertEqual(client.shutdown(), 0)
        ended = agent.wait_audit("session_end")
        self.assert_recorded(agent, ended)
        calls = [record["decision"] for record in agent.audit("message", method="tools/call", direction="c2s")]
        self.assertEqual(calls, ["deny", "allow"] * 5)


if __name__ == "__main__":
    main()
