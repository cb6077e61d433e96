"""kill -9 of the agent at any instant: the next one goes on with every session, and nothing that it had in hand is lost."""
import collections
import contextlib
import random
import re
import signal
import time

from governed import *  # noqa: F403
from governed import LONG, NOTES_PY, EndToEnd, Path, cpp_server, echo, echoed, json, main, os, policy, policy_for, wait_for
from kept_sessions import CHANNELS, Load, SessionsGoOn

SESSIONS, BATCH, STORM_SECONDS = 64, 200, 2 * 3600
# Of ten times, how often the agent ends otherwise than by SIGKILL: it aborts, or breaks.
ENDS = {4: signal.SIGABRT, 7: signal.SIGSEGV}
# A sanitizer would take that SIGSEGV for a defect of the agent.
MEANT = {"ASAN_OPTIONS": "handle_segv=0", "TSAN_OPTIONS": "handle_segv=0"}


def descriptors_of(pid):
    found = {}
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found[number] = os.readlink(f"/proc/{pid}/fd/{number}")
    return found


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
        """64 sessions, frames of 20 bytes to 1 MiB, a quarter of the calls denied; killed at random, each second time at its start."""
        self.storm(CHANNELS, kills=10000 if LONG else 12)

    def test_under_load_over_connections(self):
        """The same where a session is one connection, given to its server as inetd does."""
        self.storm(("unix", "tcp"), kills=2000 if LONG else 6)

    def storm(self, channels, kills):
        """In batches, each with an agent and servers of its own, while there is time. $CALLGATE_KILLS: another number of kills."""
        kills = int(os.environ.get("CALLGATE_KILLS", kills))
        until, reports = time.monotonic() + STORM_SECONDS, []
        for done in range(0, kills, BATCH):
            if time.monotonic() < until:
                reports.append(self.batch(channels, min(BATCH, kills - done)))
        keys = ("kills", "calls", "lost", "doubled", "reordered", "corrupted")
        figures = {key: sum(report[key] for report in reports) for key in keys}
        waits = {key: [report["wait_ms"][key] for report in reports] for key in ("p50", "p99", "max")}
        print("| channels | " + " | ".join(figures) + " | longest wait of a session in a round, ms: p50 of batches | p99 | max |")
        print(f"| {', '.join(channels)} | " + " | ".join(map(str, figures.values())) +
              f" | {min(waits['p50'])}\u2013{max(waits['p50'])} | {min(waits['p99'])}\u2013{max(waits['p99'])} | {max(waits['max'])} |",
              flush=True)

    def batch(self, channels, kills):
        server = cpp_server("--readv")
        limits = [{"counter": "echoes", "window": "day", "max": 1 << 40}]
        rules = policy({"command": " ".join(server.command)}, denied="delete_note", tools={"echo": {"limits": limits}})
        agent = self.kept({"p": rules}, environment=MEANT)
        load = Load(server, SESSIONS, depth=4, pause_ms=250 if LONG else 20, large_each=60, channels=",".join(channels),
                    socket=agent.directory / "load.sock")
        self.addCleanup(load.kill)
        wait_for(lambda: self.enforced(agent) == SESSIONS, "the sessions")
        servers = Path(f"/proc/{load.process.pid}/task/{load.process.pid}/children").read_text().split()
        held = {pid: descriptors_of(pid) for pid in servers}
        seed = random.randrange(1 << 30)
        chance = random.Random(seed)
        self.assertEqual(load.command("begin"), "begun")
        for turn in range(kills):
            before = agent.pid
            os.kill(before, ENDS.get(turn % 10, signal.SIGKILL))
            if turn % 2:
                agent.pid = wait_for(lambda: running_under(agent, before), "the next agent", interval=0.001)
                time.sleep(chance.random() * 0.5)
            else:
                agent.pid = wait_for(lambda: self.ready_after(agent, before), "the next agent", seconds=60, interval=0.05)
                time.sleep(chance.random() * 0.3)
                self.assertEqual(load.command("round"), "rounded")
            if turn == 0:
                kept = self.kept_by(agent)
        agent.pid = wait_for(lambda: self.ready_after(agent, 0), "the last agent", seconds=60, interval=0.05)
        self.assertEqual(load.command("settle"), "settled")
        for kind, number in self.kept_by(agent).items():  # but for those that are asking it something
            self.assertAlmostEqual(number, kept[kind], delta=8, msg=f"{kind}, after {kills} kills")
        self.assertEqual({pid: descriptors_of(pid) for pid in servers}, held)
        report, code, said = load.stop()
        print(f"{kills} kills, {SESSIONS} sessions, seed {seed}: {json.dumps(report)}", flush=True)
        self.assertEqual((code, said), (0, ""))
        ended = agent.wait_audit("session_end", count=SESSIONS)
        self.assertEqual({record["reason"] for record in ended}, {"ended"})
        self.assertEqual(sum(record["frames"]["denied"] for record in ended), report["denied"])
        unseen = report["calls"] - sum(record["frames"]["in"] for record in ended)
        self.assertLessEqual(unseen, 4 * len(agent.audit("session_blind")))
        self.assertGreaterEqual(unseen, 0)
        self.assertEqual({record["conserved"] for record in ended}, {True})
        counted = {each["counter"]: each["count"] for each in json.loads(agent.command("counters", "--json").stdout)["counters"]}
        self.assertEqual(counted, {"echoes": sum(record["frames"]["forwarded"] for record in ended)})
        self.assertEqual(agent.audit("session_lost"), [])
        self.assert_recorded(agent, ended)
        self.stop_agent(agent)
        return {**report, "kills": kills}

    @staticmethod
    def kept_by(agent):
        """What the agent has for its sessions, kept memory included, and what its keeper has: so many of each kind."""
        kinds = collections.Counter(re.sub(r"\d+", "", each) for each in descriptors_of(agent.pid).values())
        memory = sum(number for kind, number in kinds.items() if kind.startswith("/memfd:"))
        return {"memory": memory, "sockets": kinds["socket:[]"], "pipes": kinds["pipe:[]"],
                "of the keeper": len(descriptors_of(agent.process.pid))}

    def assert_recorded(self, agent, ended):
        """Every message that was forwarded or answered has its record, and only one: the same record may be there twice."""
        written, found, shortest = set(), collections.Counter(), None
        twice = collections.Counter()
        for record in agent.records():
            if record["type"] != "message":
                continue
            if record["id"] in written:
                twice[record["id"]] += 1
                continue
            written.add(record["id"])
            found[record["session"], record["direction"]] += 1
            shortest = min(shortest or record, record, key=len)
        self.assertLessEqual(max(twice.values(), default=0), 1)
        for record in ended:
            frames = record["frames"]
            self.assertEqual((found[record["session"], "c2s"], found[record["session"], "s2c"]), (frames["in"], frames["server_in"]))
        self.assertEqual({"server", "peer", "policy"} - set(shortest), set())
        print(f"{len(written)} records, {len(twice)} of them twice", flush=True)

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
