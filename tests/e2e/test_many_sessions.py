"""10,000 sessions at one message a second: nothing is lost, and it costs little. Fewer where this host has no room for so
many descriptors.

CALLGATE_SESSIONS says how many, CALLGATE_SECONDS for how long, CALLGATE_PAUSE_MS how far apart the messages of one are.
"""
import resource
import threading
import time

from governed import *  # noqa: F403
from governed import MCP_SERVER, SLOWNESS, EndToEnd, Path, json, main, os, policy, processor_seconds, subprocess, wait_for

PROGRAM = Path(MCP_SERVER).parent / "many_sessions"
SESSIONS, SECONDS = int(os.environ.get("CALLGATE_SESSIONS", "10000")), int(os.environ.get("CALLGATE_SECONDS", "30"))
PAUSE_MS = int(os.environ.get("CALLGATE_PAUSE_MS", "1000"))
OF_AGENT, OF_SESSION = 512, 4  # descriptors
FIRST, OF_CLIENT = 200, 2500   # sessions of the first client process, and of the others
SESSION_BYTES_MAX = 16 * 1024
BUSY_SECONDS = 120 * SLOWNESS  # for what all of them do at once


class TestManySessions(EndToEnd):
    def begin(self, sessions):
        """Starts so many more, each of which has been answered once."""
        begun = []
        for first in range(0, sessions, OF_CLIENT):
            client = subprocess.Popen([str(PROGRAM), "--sessions", str(min(OF_CLIENT, sessions - first)), "--pause-ms",
                                       str(PAUSE_MS), "--seconds", str(SECONDS)], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
            begun.append(client)
            self.addCleanup(self.end, client)
        for client in begun:
            self.assertEqual(client.stdout.readline(), "ready\n")
        self.clients += begun

    @staticmethod
    def end(client):
        if client.poll() is None:
            client.kill()
            client.wait()
        client.stdin.close()
        client.stdout.close()

    def tell(self):
        for client in self.clients:
            client.stdin.write("\n")
            client.stdin.flush()

    def test_at_one_message_a_second(self):
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))  # the clients' as well
        sessions = min(SESSIONS, (limit - OF_AGENT) // OF_SESSION)
        if sessions < SESSIONS:
            print(f"RLIMIT_NOFILE is {limit}: {sessions} sessions instead of {SESSIONS}")
        agent = self.agent({"p": policy({"command": f"*{PROGRAM.name} serve*"}, denied="delete_note")})
        self.clients = []
        started = time.monotonic()
        # What the first sessions of an agent need besides is not theirs: buffers that all of them share.
        self.begin(FIRST)
        before_others = agent.resident_bytes()
        self.begin(sessions - FIRST)
        started = time.monotonic() - started
        wait_for(lambda: agent.status()["takeover"]["count"] == sessions, "all sessions", seconds=BUSY_SECONDS, interval=0.5)
        per_session = (agent.resident_bytes() - before_others) / (sessions - FIRST)
        before, begun = processor_seconds(agent.pid), time.monotonic()
        self.tell()
        reports = [None] * len(self.clients)

        def read(number):
            reports[number] = json.loads(self.clients[number].stdout.readline())
        readers = [threading.Thread(target=read, args=(number,)) for number in range(len(self.clients))]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(SECONDS + BUSY_SECONDS)
        spent, took = processor_seconds(agent.pid) - before, time.monotonic() - begun
        for report in reports:
            print(json.dumps(report))
            self.assertEqual((report["answers"], report["wrong"]), (report["calls"], 0))
        calls = sum(report["calls"] for report in reports)
        self.assertGreaterEqual(calls, sessions * SECONDS * 1000 // PAUSE_MS)
        status = agent.status()
        print(f"{sessions} sessions, started in {started:.1f} s; {per_session / 1024:.1f} KiB for each")
        print(f"take-over: {status['takeover']}")
        print(f"{calls / took:.0f} calls a second in {took:.1f} s take {100 * spent / took:.0f} % of a processor")
        self.assertLess(per_session, SESSION_BYTES_MAX)
        self.tell()
        for client in self.clients:
            self.assertEqual(client.wait(BUSY_SECONDS), 0)
        wait_for(lambda: agent.sessions() == [], "the session table being empty", seconds=BUSY_SECONDS, interval=0.5)
        frames = agent.status()["frames"]
        # Those whose first frame was read while the agent was busy with the others are said to be blind for that one.
        blind = len(agent.audit("session_blind"))
        self.assertLessEqual(sessions + calls - frames["in"], blind)
        self.assertEqual(frames["in"], frames["forwarded"])


if __name__ == "__main__":
    main()
