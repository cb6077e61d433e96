"""What holds for every session that goes on with another agent, whatever became of the one before."""
import select
import subprocess
import time

from governed import *  # noqa: F403
from governed import (BINARY, NOTES_BUN, NOTES_PY, SLOWNESS, Path, chosen, cpp_server, echo, echoed, json, os, policy, policy_for, steady_descriptors,
                      wait_for)

LOAD = Path(os.environ["CALLGATE_MCP_SERVER"]).parent / "stdio_load" if "CALLGATE_MCP_SERVER" in os.environ else \
    BINARY.parent / "tests" / "harness" / "stdio_load"
CHANNELS = ("pipe", "socketpair")
PATIENCE_SECONDS = 180 * SLOWNESS
FRAME = b'{"jsonrpc":"2.0","id":77,"method":"tools/call","params":{"name":"echo","arguments":{"text":"whole"}}}\n'


def has_counted_its_start(pid):
    """An agent: the memory of before is mapped, or its own, and it counts right behind that."""
    try:
        with open(f"/proc/{pid}/maps") as maps:
            has = "callgate-memory" in maps.read()
    except OSError:
        return False
    if has:
        time.sleep(0.02)
    return has


class Load:
    """stdio_load: see its head."""

    def __init__(self, server, sessions, **options):
        words = [str(word) for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
        self.process = subprocess.Popen([str(LOAD), "--sessions", str(sessions), *words, "--", *server.command], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def command(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], PATIENCE_SECONDS)[0]:
            raise AssertionError(f"stdio_load did not answer to {word}: some session waits for an answer")
        return self.process.stdout.readline().strip()

    def stop(self):
        report = json.loads(self.command("stop") or "{}")
        return report, self.process.wait(60), self.process.stderr.read()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for end in (self.process.stdin, self.process.stdout, self.process.stderr):
            end.close()


class SessionsGoOn:
    """Tests of an EndToEnd, which says in replace(agent) how the agent ends and is followed by another one."""
    servers = (NOTES_PY, NOTES_BUN, cpp_server("--double-fork"))

    def kept(self, policies, **options):
        return self.agent(policies, keeper=True, **options)

    def enforced(self, agent):
        return len([session for session in agent.sessions() if session["state"] == "enforced"])

    def check_records(self, agent, calls):
        """Of so many calls, the last of which has been answered."""

    def test_a_session_goes_on(self):
        """Governed before and after, the same descriptors, the same books; the first call after it is judged."""
        for server in chosen(self.servers):
            for channel in CHANNELS:
                with self.case(server=server.name, channel=channel):
                    agent = self.kept({"p": policy_for(server)})
                    client = self.client(server.command, channel=channel)
                    client.initialize()
                    session = agent.sessions()[0]["session"]
                    before = steady_descriptors(client.pid, server, inodes=True)
                    for turn in ("first", "second"):
                        self.assert_denied(client.call(*server.denied))
                        self.assertEqual(echoed(client.answer(echo(client, server, turn))), turn)
                        self.replace(agent)
                        self.assert_denied(client.call(*server.denied))
                        self.assertEqual([s["session"] for s in agent.sessions()], [session])
                    self.assertEqual(steady_descriptors(client.pid, server, inodes=True), before)
                    self.assertEqual(client.shutdown(), server.exit_code)
                    ended = agent.wait_audit("session_end")[0]
                    self.assertEqual((ended["session"], ended["reason"], ended["frames"]["in"], ended["frames"]["denied"]), (session, "ended", 8, 4))
                    self.assertEqual([event.get("killed", False) for event in agent.audit("session_resumed")], [self.killed] * 2)
                    self.assertEqual(len(agent.audit("session_start")), 1)

    def test_half_a_frame_is_under_way(self):
        """The agent has the first half, and nobody else does."""
        server = cpp_server("--readv")
        for channel in CHANNELS:
            with self.case(channel=channel):
                agent = self.kept({"p": policy_for(server)})
                client = self.client(server.command, channel=channel)
                client.initialize()
                client.request("ping")
                read = lambda: agent.sessions()[0]["frames"]["client_bytes"]  # noqa: E731
                before = read()
                client.send(FRAME[:40])
                wait_for(lambda: read() == before + 40, "the first half")
                self.replace(agent)
                client.send(FRAME[40:])
                self.assertEqual(echoed(client.answer(77)), "whole")
                self.assertEqual(client.shutdown(), 0)

    def test_an_answer_is_outstanding(self):
        """What it was charged, and which request it answers, is known to the next agent."""
        server = cpp_server("--threads", "2")
        rules = policy(server.match, tools={"sleep": {"limits": [{"counter": "c", "max_in_flight": 1}]}})
        agent = self.kept({"p": rules})
        client = self.client(server.command)
        client.initialize()
        slow = client.post("tools/call", {"name": "sleep", "arguments": {"ms": 6000}})
        client.request("ping")
        self.replace(agent)
        answer = client.call("sleep", {"ms": 1})
        self.assertTrue(answer["result"]["isError"], answer)
        self.assert_result(client.answer(slow))
        self.assert_result(client.call("sleep", {"ms": 1}))
        self.check_records(agent, ["allow", "deny", "allow"])
        self.assertEqual(client.shutdown(), 0)

    def test_a_call_waits(self):
        """It waits on, for the same place, and is judged by the policy of then."""
        server = cpp_server("--threads", "2")
        limit = {"counter": "c", "max_in_flight": 1, "on_exceed": "delay", "max_delay_ms": 60000}
        agent = self.kept({"p": policy(server.match, tools={"sleep": {"limits": [limit]}})})
        client = self.client(server.command)
        client.initialize()
        slow = client.post("tools/call", {"name": "sleep", "arguments": {"ms": 6000}})
        waiting = [client.post("tools/call", {"name": "sleep", "arguments": {"ms": 1}}) for _ in range(3)]
        wait_for(lambda: agent.status()["frames"]["held"] == 3, "the calls waiting")
        self.replace(agent)
        self.assertEqual(agent.status()["counters"]["waiting"], 3)
        for identifier in (slow, *waiting):
            self.assert_result(client.answer(identifier))
        self.check_records(agent, ["allow"] * 4)
        self.assertEqual(client.shutdown(), 0)
