"""Half an hour of sessions that come, call and go, while policies are read again, logs are rotated and the agent is
replaced: what it has, it gives back. CALLGATE_SOAK_SECONDS says for how long.

Looked at whenever no session is there but those that stay: memory, descriptors, threads, entries in the kernel's tables.
Between the first such moments of an agent's life, when its caches have filled, and the last ones, nothing of that may have
grown.
"""
import os
import random
import signal
import statistics
import time

from governed import *  # noqa: F403
from governed import EndToEnd, Path, cpp_server, echo, echoed, json, kernel_tables, main, policy, table_entries, wait_for
from kept_sessions import Load

SECONDS = int(os.environ.get("CALLGATE_SOAK_SECONDS", "1800"))
LIVES = 2          # of the agent: it is replaced in between
ROUND = 24         # sessions that come and go between two looks
STAY = 8           # sessions that are there all the time, and call
WARM = 0.3         # of a life, until caches have filled and the first windows are over
GROWTH_BYTES = 1 << 20   # of memory, which an allocator's own moods are
GROWTH_OF_SESSION = 128  # bytes: less for each session that came and went is none of them


class Look:
    """What one agent has at a moment."""

    def __init__(self, agent, tables):
        fields = dict(line.split(":")[:2] for line in Path(f"/proc/{agent.pid}/smaps_rollup").read_text().splitlines()[1:])
        links = []
        for fd in os.listdir(f"/proc/{agent.pid}/fd"):
            try:
                links.append(os.readlink(f"/proc/{agent.pid}/fd/{fd}"))
            except FileNotFoundError:
                pass
        self.live_counters = agent.status()["counters"]["live"]
        self.bytes = {"rss": int(fields["Rss"].split()[0]) * 1024, "pss": int(fields["Pss"].split()[0]) * 1024,
                      "anonymous": int(fields["Anonymous"].split()[0]) * 1024}
        self.counts = {"descriptors": len(links), "memfds": sum("memfd:" in link for link in links),
                       "pipes": sum(link.startswith("pipe:") for link in links),
                       "sockets": sum(link.startswith("socket:") for link in links),
                       "threads": len(os.listdir(f"/proc/{agent.pid}/task")),
                       **{f"map {name}": table_entries(number) for name, number in tables.items()}}

    def __str__(self):
        return json.dumps({**{name: f"{value / (1 << 20):.2f} MiB" for name, value in self.bytes.items()}, **self.counts,
                           "live counters": self.live_counters})


class TestSoak(EndToEnd):
    server, stays = cpp_server("--label=comes"), cpp_server("--label=stays")

    def rules(self):
        limit = {"counter": "c", "window": "minute", "max": 2, "scope": "session"}
        # The whole command line: whoever starts a server has a part of it in its own.
        tools = {"write_note": {"limits": [limit]}}
        return {name: policy({"command": " ".join(server.command)}, denied="delete_note", tools=tools)
                for name, server in (("come", self.server), ("stay", self.stays))}

    @staticmethod
    def enforced(agent):
        """Those that were blind stay in the list for a while."""
        return len([session for session in agent.sessions() if session["state"] == "enforced"])

    @staticmethod
    def blind(agent):
        """Those that the agent was too late for, and said so: on a busy host it takes half an hour to have one."""
        return {session["server"]["pid"] for session in agent.sessions() if session["state"] == "blind"}

    def round(self, agent, chance):
        """Sessions that begin, call, and end in one way or another."""
        clients = [self.client_of_round(chance) for _ in range(ROUND)]
        for client in clients:
            client.initialize()
        blind = self.blind(agent)
        for client in clients:
            for _ in range(3):
                self.assertEqual(echoed(client.answer(echo(client, self.server, "x" * chance.randrange(1, 4000)))).strip("x"), "")
            answer = client.call("delete_note")
            if client.pid not in blind:
                self.assert_denied(answer)
            for _ in range(3):
                client.call("write_note")
        for client in clients:
            how = chance.randrange(4)
            if how == 0:
                client.process.kill()
                client.read_rest()
                client.wait()
            elif how == 1:
                client.post("tools/call", {"name": "sleep", "arguments": {"ms": 50}})
                client.shutdown()
            else:
                self.assertEqual(client.shutdown(), 0)
            client.kill()
        self._cleanups = [each for each in self._cleanups if each[0] not in {client.kill for client in clients}]

    def client_of_round(self, chance):
        return self.client(self.server.command, channel=chance.choice(("pipe", "socketpair")))

    def assert_flat(self, looks, sessions):
        quarter = max(2, len(looks) // 4)
        early, late = looks[:quarter], looks[-quarter:]
        for name in early[0].bytes:
            growth = statistics.median(look.bytes[name] for look in late) - statistics.median(look.bytes[name] for look in early)
            print(f"{name}: {growth / 1024:+.0f} KiB over {sessions} sessions")
            self.assertLess(growth, GROWTH_BYTES + GROWTH_OF_SESSION * sessions, name)
        for name in early[0].counts:
            before, after = (statistics.median(look.counts[name] for look in some) for some in (early, late))
            # An entry in a hundred rounds is none of them.
            self.assertLessEqual(after - before, 2 + len(looks) / 100, f"{name}: {before} -> {after}")

    def test_what_it_has_it_gives_back(self):
        seed = random.randrange(1 << 30)
        chance = random.Random(seed)
        print(f"seed {seed}")
        agent = self.agent(self.rules(), keeper=True)
        load = Load(self.stays, STAY, depth=2, pause_ms=200, large_each=500)
        self.addCleanup(load.kill)
        wait_for(lambda: self.enforced(agent) == STAY, "the sessions that stay")
        self.assertEqual(load.command("begin"), "begun")
        begun, ends = time.monotonic(), []  # of the rounds of all lives: counters outlive an agent
        for life in range(LIVES):
            life_begun, looks, rounds = time.monotonic(), [], 0
            until = begun + SECONDS * (life + 1) / LIVES
            warm_until = life_begun + (until - life_begun) * WARM
            tables = kernel_tables(agent.pid)
            self.assertIn("channels", tables)
            while time.monotonic() < until:
                self.round(agent, chance)
                if rounds % 10 == 5:
                    agent.audit_path.unlink()
                    os.kill(agent.pid, signal.SIGHUP)
                if rounds % 10 == 7:
                    agent.command("reload")
                wait_for(lambda: self.enforced(agent) == STAY, "the others being gone", seconds=60, interval=0.05)
                rounds += 1
                ends.append(time.monotonic())
                if time.monotonic() > warm_until:
                    look = Look(agent, tables)
                    looks.append(look)
                    # A session has one, which stays until its window, a minute, is over, and some are dropped as others are made.
                    recent = ROUND * sum(end > ends[-1] - 150 for end in ends)
                    self.assertLessEqual(look.live_counters, recent + STAY)
                    if len(looks) % 20 == 1:
                        print(f"life {life}, round {rounds}: {look}", flush=True)
            print(f"life {life}: {rounds} rounds, {rounds * ROUND} sessions, last: {looks[-1]}")
            self.assert_flat(looks, len(looks) * ROUND)
            if life + 1 < LIVES:
                agent.restart()
        report, code, said = load.stop()
        print(json.dumps(report))
        self.assertEqual((code, said), (0, ""))
        wait_for(lambda: self.enforced(agent) == 0, "the end of the last sessions")


if __name__ == "__main__":
    main()
