"""More happens while the agent is stopped than the kernel has room to tell: that is counted and said, and what was missed is
found."""
import os
import signal
import sys

from governed import *  # noqa: F403
from governed import MCP_SERVER, Path, cpp_server, main, policy, processor_seconds, subprocess, wait_for
from test_stopped_agent import Stopped, stop_all_threads

FLOOD = Path(MCP_SERVER).parent / "exec_flood"
RING_BYTES, EVENT_BYTES = 1 << 20, 200  # of the kernel's events: one takes more than so many


def resident_bytes(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class TestLostEvents(Stopped):
    def overflow(self, agent):
        """Programs with a pipe as input and output, one after the other in one process, until events were lost."""
        number = RING_BYTES // EVENT_BYTES + 500
        process = subprocess.Popen([str(FLOOD), str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdin.close()
        process.stdout.read()
        self.assertEqual(process.wait(120), 0)
        process.stdout.close()

    def test_what_was_missed_is_found(self):
        server = cpp_server("--label=missed")
        agent = self.agent({"p": policy({"command": "*--label=missed*"}, denied="delete_note")})
        before, = [self.client(server.command)]
        before.initialize()
        try:
            stop_all_threads(agent)
            self.overflow(agent)
            clients = [self.client(server.command, channel=("pipe", "socketpair")[n % 2]) for n in range(4)]
            for client in clients:  # that nobody judges: their events were lost
                client.initialize()
        finally:
            os.kill(agent.pid, signal.SIGCONT)
        lost = sum(record["lost"] for record in agent.wait_audit("events_lost"))
        kernel = agent.status()["kernel"]
        self.assertGreater(lost, 0)
        self.assertEqual(kernel["events_lost"], lost)
        self.assertEqual(kernel["events_seen"], kernel["events_sent"] + lost)
        self.assertIn(f"{lost} events lost", agent.log())
        wait_for(lambda: len([s for s in agent.sessions() if s["state"] == "enforced"]) == 5, "all servers being governed")
        for client in (before, *clients):
            self.assert_denied(client.call("delete_note"))
            self.assertEqual(client.shutdown(), 0)
        ended = agent.wait_audit("session_end", count=5)
        self.assertEqual({record["conserved"] for record in ended}, {True})
        # Nothing of the flood is left in the kernel's tables: whoever reads next is held and judged as ever.
        client = self.client(server.command)
        client.post("tools/call", {"name": "delete_note"}, identifier="first")
        self.assert_denied(client.answer("first"))
        client.shutdown()
        status = agent.status()
        self.assertEqual(status["frames"]["in"], status["frames"]["forwarded"] + status["frames"]["denied"])
        self.assertEqual(agent.stop(), 0)
        self.assert_nothing_left(agent)


# Lets programs end that have its pipe as input, and then reads it over and over in a way that cannot be undone.
TEES = """
import ctypes, os, subprocess, sys, time
tee = ctypes.CDLL(None, use_errno=True).tee
pipe, copy = os.pipe(), os.pipe()
os.write(pipe[1], b"x")
print("ready", flush=True)
sys.stdin.readline()
for _ in range(3):
    subprocess.run(["true"], stdin=pipe[0], stdout=subprocess.PIPE)
print("ended", flush=True)
sys.stdin.readline()
number, end = 0, time.monotonic() + 3
while time.monotonic() < end:
    if tee(pipe[0], copy[1], 1, 0) != 1:
        sys.exit(1)
    os.read(copy[0], 1)
    number += 1
print(number, flush=True)
"""

# Lets as many programs end, keeps what each had as its input, and reads each once in such a way.
PIPES = """
import ctypes, os, resource, subprocess, sys
tee = ctypes.CDLL(None, use_errno=True).tee
number = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (2 * number + 64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
pipes, copy = [os.pipe() for _ in range(number)], os.pipe()
print("ready", flush=True)
sys.stdin.readline()
for input, output in pipes:
    os.write(output, b"x")
    subprocess.run(["true"], stdin=input, stdout=copy[1])
print("ended", flush=True)
sys.stdin.readline()
for input, _ in pipes:
    if tee(input, copy[1], 1, 0) != 1:
        sys.exit(1)
    os.read(copy[0], 1)
print("read", flush=True)
"""


class TestManyEvents(Stopped):
    def ended_programs(self, agent, number, script, *arguments):
        """The script, when it has let so many programs end before the agent could look at them."""
        process = subprocess.Popen([sys.executable, "-c", script, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(lambda: [process.kill(), process.wait(), process.stdin.close(), process.stdout.close()])
        self.assertEqual(process.stdout.readline(), b"ready\n")
        wait_for(lambda: agent.status()["kernel"]["candidates"] >= 1, "the script being seen")
        try:
            stop_all_threads(agent)
            process.stdin.write(b"\n")
            process.stdin.flush()
            self.assertEqual(process.stdout.readline(), b"ended\n")
        finally:
            os.kill(agent.pid, signal.SIGCONT)
        wait_for(lambda: agent.status()["kernel"]["candidates"] >= 1 + number, "the programs that have ended")
        return process

    def test_a_loop_of_reads_that_cannot_be_undone(self):
        """Of a channel that is watched because the program that had it has ended: it is told once, and nobody waits for it."""
        server = cpp_server("--label=beside")
        agent = self.agent({"p": policy({"command": "*--label=beside*"}, denied="delete_note")})
        loop = self.ended_programs(agent, 3, TEES)
        before = agent.status()["kernel"]["events_seen"]
        memory, worked = resident_bytes(agent.pid), processor_seconds(agent.pid)
        loop.stdin.write(b"\n")
        loop.stdin.flush()
        client = self.client(server.command)
        client.initialize()
        self.assert_denied(client.call("delete_note"))
        self.assert_enforced(agent, client.pid)
        self.assertGreater(int(loop.stdout.readline()), 1000)
        self.assertLess(processor_seconds(agent.pid) - worked, 1)
        kernel = agent.status()["kernel"]
        self.assertLess(kernel["events_seen"] - before, 100)
        self.assertEqual(kernel["events_lost"], 0)
        self.assertLess(resident_bytes(agent.pid) - memory, 16 << 20)
        self.assertEqual(client.shutdown(), 0)

    def test_inputs_of_programs_that_have_ended(self):
        """Whoever keeps them open does not make the agent watch them all: none of them is any process's standard input."""
        server = cpp_server("--label=beside")
        agent = self.agent({"p": policy({"command": "*--label=beside*"}, denied="delete_note")})
        pipes = self.ended_programs(agent, 1200, PIPES, "1200")
        client = self.client(server.command)  # its turn comes after theirs
        client.initialize()
        self.assert_denied(client.call("delete_note"))
        before = agent.status()["kernel"]["events_seen"]
        pipes.stdin.write(b"\n")
        pipes.stdin.flush()
        self.assertEqual(pipes.stdout.readline(), b"read\n")
        self.assertLess(agent.status()["kernel"]["events_seen"] - before, 600)
        self.assertEqual(client.shutdown(), 0)


if __name__ == "__main__":
    main()
