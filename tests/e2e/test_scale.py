"""Many sessions, the largest frames, and sides that do not read: bounded memory, nothing lost."""
import pwd
import resource

from governed import *  # noqa: F403
from governed import LONG, EndToEnd, cpp_server, json, kernel_tables, main, os, policy, subprocess, table_entries, time, wait_for

MIB = 1 << 20
FRAME_MAX = 64 * MIB
SERVER = cpp_server("--readv")


def echo_frame(identifier, total_bytes):
    """A call of echo whose line, LF included, has exactly so many bytes."""
    head = b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","arguments":{"text":"' % identifier
    tail = b'"}}}\n'
    return head + b"x" * (total_bytes - len(head) - len(tail)) + tail


class TestManySessions(EndToEnd):
    SESSIONS = 2000 if LONG else 500

    def test_at_once(self):
        wanted = self.SESSIONS * 4 + 256
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.assertGreaterEqual(hard, wanted, "RLIMIT_NOFILE is too low for this test")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
        agent = self.agent({"p": policy(SERVER.match, denied="delete_note")})
        idle, threads = agent.resident_bytes(), len(os.listdir(f"/proc/{agent.pid}/task"))
        clients = [self.client(SERVER.command, channel=("pipe", "socketpair")[n % 2]) for n in range(self.SESSIONS)]
        initialize = [c.post("initialize", {"protocolVersion": "2025-11-25", "capabilities": {},
                                            "clientInfo": {"name": "many", "version": "1"}}) for c in clients]
        for client, identifier in zip(clients, initialize):
            self.assertIn("result", client.answer(identifier))
        self.assertEqual(len([s for s in agent.sessions() if s["state"] == "enforced"]), self.SESSIONS)
        self.assertEqual(len(os.listdir(f"/proc/{agent.pid}/task")), threads)  # none for a session
        for _ in range(3):
            posted = [(c, c.post("tools/call", {"name": "echo", "arguments": {"text": "x"}}),
                       c.post("tools/call", {"name": "delete_note"})) for c in clients]
            for client, allowed, denied in posted:
                self.assertEqual(client.answer(allowed)["result"]["content"][0]["text"], "x")
                self.assert_denied(client.answer(denied))
        per_session = (agent.resident_bytes() - idle) / self.SESSIONS
        print(f"resident: {idle / MIB:.1f} MiB without sessions, {per_session / 1024:.1f} KiB more for each of {self.SESSIONS}")
        self.assertLess(per_session, 256 * 1024)
        for client in clients:
            client.close_stdin()
        for client in clients:
            client.read_rest()
            self.assertEqual(client.wait(), 0)
        agent.wait_audit("session_end", count=self.SESSIONS)
        wait_for(lambda: agent.sessions() == [], "the session table being empty", seconds=10, interval=0.05)

    def test_programs_that_come_and_go(self):
        """Each that a policy may name is watched until it shows what it is; one that ends before leaves nothing in the kernel's
        table, which has room for 65,536."""
        agent = self.agent({"p": policy({"user": pwd.getpwuid(os.getuid()).pw_name}, denied="delete_note")})
        table = kernel_tables(agent.pid)["channels"]
        for _ in range(2500):
            with subprocess.Popen(["/bin/true"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False) as program:
                program.communicate()
        wait_for(lambda: agent.status()["kernel"]["events_seen"] >= 2500, "the agent to have seen them")
        wait_for(lambda: table_entries(table) < 1024 + 100, "what has ended being forgotten", seconds=20, interval=0.2)
        self.assertEqual(agent.status()["kernel"]["channels_full"], 0)
        client = self.client(SERVER.command)
        client.initialize()
        self.assert_denied(client.call(*SERVER.denied))
        self.assertEqual(client.shutdown(), 0)


class TestLargeFrames(EndToEnd):
    def test_the_largest_frame_and_one_byte_more(self):
        agent = self.agent({"p": policy(SERVER.match)})
        for channel in ("pipe", "socketpair"):
            with self.case(channel=channel):
                client = self.client(SERVER.command, channel=channel)
                client.initialize()
                for size in (MIB, FRAME_MAX):
                    frame = echo_frame(size, size)
                    client.send(frame, seconds=60)
                    answer = client.answer(size, seconds=60)
                    self.assertEqual(len(self.assert_result(answer)["content"][0]["text"]), frame.count(b"x") - 1)  # "text" has one too
                # More is refused, and the session goes on.
                client.send(echo_frame(7, FRAME_MAX + MIB), seconds=60)
                client.post("ping", identifier="after")
                lines = []
                while not lines or json.loads(lines[-1]).get("id") != "after":
                    lines.append(client.read_line(60))
                self.assertTrue(all("error" in json.loads(line) for line in lines[:-1]), [line[:200] for line in lines])
                client.shutdown()
        refused = agent.wait_audit("message", count=2, decision="refuse")
        self.assertEqual(len(refused), 2)
        self.assertLess(agent.resident_bytes(), 4 * FRAME_MAX)

    def test_the_limit_is_the_configurations(self):
        self.agent({"p": policy(SERVER.match)}, config={"frame_bytes_max": 4096})
        client = self.client(SERVER.command)
        client.initialize()
        client.send(echo_frame(11, 4096))
        self.assert_result(client.answer(11))
        client.send(echo_frame(12, 4097) + echo_frame(13, 100))
        self.assert_result(client.answer(13))
        self.assertEqual(client.shutdown(), 0)


class TestSlowSides(EndToEnd):
    BOUND = 64 * MIB

    def assert_bounded(self, agent, before, seconds=2):
        """Watches the agent's memory while nobody reads."""
        highest, deadline = 0, time.monotonic() + seconds
        while time.monotonic() < deadline:
            highest = max(highest, agent.resident_bytes() - before)
            time.sleep(0.01)
        self.assertLess(highest, self.BOUND)

    def test_a_client_that_does_not_read(self):
        """Answers pile up to a bound, the server is made to wait, and everything arrives when the client reads."""
        agent = self.agent({"p": policy(SERVER.match, denied="delete_note")})
        before = agent.resident_bytes()
        client = self.client(SERVER.command)
        client.initialize()
        count, size = 300, MIB
        requests = b"".join(json.dumps({"jsonrpc": "2.0", "id": 100 + n, "method": "tools/call",
                                        "params": {"name": "big", "arguments": {"bytes": size}}}).encode() + b"\n" for n in range(count))
        rest = client.send(requests, read=False, seconds=3)
        self.assert_bounded(agent, before)
        client.send(rest)
        for n in range(count):
            self.assertEqual(len(self.assert_result(client.answer(100 + n))["content"][0]["text"]), size)
        self.assertEqual(client.shutdown(), 0)

    def test_a_client_that_only_writes_what_is_denied(self):
        """Answers of the agent's own are bounded too: it stops reading from a client that does not read."""
        agent = self.agent({"p": policy(SERVER.match, denied="delete_note")})
        before = agent.resident_bytes()
        client = self.client(SERVER.command)
        client.initialize()
        frame = b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"delete_note","arguments":{}}}\n'
        count = 20000
        rest = client.send(b"".join(frame % n for n in range(count)), read=False, seconds=3)
        self.assertGreater(len(rest), 0, "the client was never made to wait")
        self.assert_bounded(agent, before, seconds=0.5)
        client.send(rest)
        for n in range(count):
            self.assert_denied(client.answer(n))
        self.assertEqual(client.shutdown(), 0)

    def test_a_server_that_does_not_read(self):
        """The client is made to wait as it would be without the agent, and nothing is lost."""
        agent = self.agent({"p": policy(SERVER.match)})
        before = agent.resident_bytes()
        client = self.client(SERVER.command)
        client.initialize()
        sleeping = client.post("tools/call", {"name": "sleep", "arguments": {"ms": 4000}})
        frames = b"".join(echo_frame(100 + n, 65536) for n in range(400))
        rest = client.send(frames, read=False, seconds=2)
        self.assertGreater(len(rest), 0, "the client was never made to wait")
        self.assert_bounded(agent, before, seconds=0.5)
        client.send(rest)
        self.assert_result(client.answer(sleeping))
        for n in range(400):
            self.assert_result(client.answer(100 + n))
        self.assertEqual(client.shutdown(), 0)


if __name__ == "__main__":
    main()
