"""Neither the server nor whoever started it can tell that the session was taken over."""
import pty
import re
import signal
import termios
import threading

from governed import *  # noqa: F403
from governed import (ANSWER_SECONDS, EVERYTHING, FAULTS, NOTES_BUN, NOTES_DENO, NOTES_PY, PYTHON, SLOWNESS, EndToEnd, Path, chosen, cpp_server,
                      descriptors, json, main, os, policy, policy_for, processor_seconds, select, steady_descriptors, time, wait_for)

SERVERS_SEEN = chosen((EVERYTHING, NOTES_PY, NOTES_BUN, NOTES_DENO, cpp_server("--epoll"), cpp_server("--dup"), cpp_server("--readv"),
                       cpp_server("--threads", "4")))
CHANNELS = ("pipe", "socketpair")
STARTS_NONBLOCKING = """
import os, subprocess, sys
os.set_blocking(0, False)
os.set_blocking(1, False)
sys.exit(subprocess.call(sys.argv[1:]))
"""
# Runs a Python server that has a handler: Python calls it once the read that waits for input has been interrupted.
WITH_HANDLER = """
import pathlib, runpy, signal, sys
path, mark = sys.argv[1:]
signal.signal(signal.SIGUSR1, lambda *_: pathlib.Path(mark).write_text("handled"))
sys.argv[1:] = []
runpy.run_path(path, run_name="__main__")
"""


class TestDescriptors(EndToEnd):
    def settled(self, client, server):
        client.initialize()
        self.assert_result(client.call(*server.allowed))
        client.request("ping")

    def test_adopted_midway_and_handed_back(self):
        for server in SERVERS_SEEN:
            for channel in CHANNELS:
                with self.case(server=server.name, channel=channel):
                    client = self.client(server.command, channel=channel)
                    self.settled(client, server)
                    seen = steady_descriptors(client.pid, server)
                    exact = steady_descriptors(client.pid, server, inodes=True)
                    agent = self.agent({"example": policy_for(server)})
                    self.assert_denied(client.call(*server.denied))
                    self.assert_enforced(agent, client.pid)
                    self.assertEqual(steady_descriptors(client.pid, server), seen)
                    self.assertNotEqual(steady_descriptors(client.pid, server, inodes=True), exact)
                    self.assertEqual(self.tracer(client.pid), 0)
                    self.stop_agent(agent)
                    self.assertEqual(steady_descriptors(client.pid, server, inodes=True), exact)
                    self.assert_result(client.call(*server.allowed))
                    self.assertEqual(client.shutdown(), server.exit_code)

    def test_governed_from_the_first_read(self):
        for server in SERVERS_SEEN:
            if server is NOTES_DENO:
                continue  # it opens its caches in another order each time
            for channel in CHANNELS:
                with self.case(server=server.name, channel=channel):
                    direct = self.client(server.command, channel=channel)
                    self.settled(direct, server)
                    seen = self.without_data(descriptors(direct.pid))
                    direct.shutdown()
                    agent = self.agent({"example": policy_for(server)})
                    client = self.client(server.command, channel=channel)
                    self.settled(client, server)
                    self.assert_enforced(agent, client.pid)
                    self.assertEqual(self.without_data(descriptors(client.pid)), seen)
                    client.shutdown()
                    self.stop_agent(agent)

    @staticmethod
    def without_data(table):
        """Two processes register different addresses with their epolls."""
        return {fd: (kind, flags, [(target, events) for target, events, _ in registrations])
                for fd, (kind, flags, registrations) in table.items()}

    @staticmethod
    def tracer(pid):
        return int(next(line.split()[1] for line in Path(f"/proc/{pid}/status").read_text().splitlines()
                        if line.startswith("TracerPid:")))


class TestParent(EndToEnd):
    def test_a_waiting_parent_sees_no_stop(self):
        for server in chosen((EVERYTHING, NOTES_PY, cpp_server("--readv"))):
            for adopted in (False, True):
                with self.case(server=server.name, adopted=adopted):
                    self.check_parent(server, adopted)

    def check_parent(self, server, adopted):
        """A thread waits for any change of state; signals to the parent are counted."""
        agent = None if adopted else self.agent({"example": policy_for(server)})
        client = self.client(server.command)
        if adopted:
            client.initialize()
            agent = self.agent({"example": policy_for(server)})
        signals, statuses = [], []
        previous = signal.signal(signal.SIGCHLD, lambda *_: signals.append(1))

        def watch():
            while True:
                _, status = os.waitpid(client.pid, os.WUNTRACED | os.WCONTINUED)
                statuses.append(status)
                if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                    return
        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            if not adopted:
                client.initialize()
            self.assert_denied(client.call(*server.denied))
            self.assert_result(client.call(*server.allowed))
            self.assertEqual((statuses, signals), ([], []))
        finally:
            signal.signal(signal.SIGCHLD, previous)
            client.close_stdin()
            watcher.join(30)
        client.read_rest()
        client.process.returncode = os.waitstatus_to_exitcode(statuses[-1])
        self.assertEqual([os.waitstatus_to_exitcode(s) for s in statuses], [server.exit_code])
        self.stop_agent(agent)


class TestSharedFiles(EndToEnd):
    def test_those_who_share_them_do_not_block(self):
        """What started the server has set O_NONBLOCK, as Node does: it stays set, and the agent sleeps all the same."""
        server = cpp_server("--epoll")
        for keeper in (False, True):
            for channel in CHANNELS:
                with self.case(keeper=keeper, channel=channel):
                    agent = self.agent({"p": policy({"command": " ".join(server.command)}, denied="delete_note")}, keeper=keeper)
                    client = self.client([PYTHON, "-c", STARTS_NONBLOCKING, *server.command], channel=channel)
                    client.initialize()
                    self.assert_denied(client.call(*server.denied))
                    for number in (0, 1):
                        flags = int(re.search(r"flags:\t(\d+)", Path(f"/proc/{client.pid}/fdinfo/{number}").read_text())[1], 8)
                        self.assertTrue(flags & os.O_NONBLOCK, number)
                    before = processor_seconds(agent.pid)
                    time.sleep(1)
                    self.assertLess(processor_seconds(agent.pid) - before, 0.3)
                    self.assert_result(client.call(*server.allowed))
                    self.assertEqual(client.shutdown(), 0)


class TestHandlers(EndToEnd):
    def test_a_signal_that_comes_in_a_stop(self):
        """Its handler runs then and there, although nothing comes that the server could read."""
        self.addCleanup(os.environ.pop, "CALLGATE_SLOW_STEP")
        mark = self.directory() / "mark"
        for channel in CHANNELS:
            with self.case(channel=channel):
                client = self.client([PYTHON, "-c", WITH_HANDLER, NOTES_PY.command[1], str(mark)], channel=channel)
                client.initialize()
                rules = {"p": policy({"command": f"*{mark}"}, denied="delete_note")}
                os.environ["CALLGATE_SLOW_STEP"] = "mask blocked 500000"  # once in a take-over, and in a hand-back
                signalled = threading.Thread(target=self.signal_stopped, args=(client.pid,))
                signalled.start()
                agent = self.agent(rules, binary=FAULTS)
                self.assert_handled(signalled, mark)
                self.assert_denied(client.call("delete_note"))
                signalled = threading.Thread(target=self.signal_stopped, args=(client.pid,))
                signalled.start()
                self.stop_agent(agent)
                self.assert_handled(signalled, mark)
                self.assert_result(client.call("delete_note"))
                self.assertEqual(client.shutdown(), 0)

    @staticmethod
    def signal_stopped(pid):
        stat = Path(f"/proc/{pid}/stat")
        wait_for(lambda: stat.read_text().rpartition(") ")[2][0] == "t", "the server being stopped", interval=0.001)
        time.sleep(0.1)
        os.kill(pid, signal.SIGUSR1)

    def assert_handled(self, signalled, mark):
        signalled.join()
        wait_for(mark.exists, "the handler", seconds=5 * SLOWNESS)
        mark.unlink()


class TestShell(EndToEnd):
    """An interactive bash in a terminal runs a server in the foreground."""
    PROMPT = b"ready> "

    def transcript(self):
        directory = self.directory()
        fifo, out = directory / "in", directory / "out"
        os.mkfifo(fifo)
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"],
                      {"PS1": self.PROMPT.decode(), "PATH": os.environ["PATH"], "HOME": "/", "TERM": "dumb", "HISTFILE": ""})
        seen = b""

        def until(text):
            nonlocal seen
            start, deadline = len(seen), time.monotonic() + ANSWER_SECONDS
            while text not in seen[start:]:
                self.assertTrue(select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0], seen)
                seen += os.read(terminal, 4096)
        try:
            attributes = termios.tcgetattr(terminal)
            attributes[3] &= ~termios.ECHO
            termios.tcsetattr(terminal, termios.TCSANOW, attributes)
            until(self.PROMPT)
            os.write(terminal, f"cd {directory}; set -m; jobs; cat in | {' '.join(NOTES_PY.command)} | cat > out; "
                               "echo codes ${PIPESTATUS[*]}; jobs\n".encode())
            with open(fifo, "wb", buffering=0) as requests:
                for number, tool in enumerate(("echo", "delete_note", "echo")):
                    requests.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": "initialize" if number == 0 else "tools/call",
                                               "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "sh", "version": "1"}}
                                               if number == 0 else {"name": tool, "arguments": {}}}).encode() + b"\n")
                    wait_for(lambda: out.exists() and out.read_bytes().count(b"\n") > number, "an answer")
            until(self.PROMPT)
            os.write(terminal, b"exit\n")
            os.waitpid(pid, 0)
        finally:
            os.close(terminal)
        return seen.replace(str(directory).encode(), b"DIR"), out.read_text().splitlines()

    def test_nothing_is_shown(self):
        shown, answers = self.transcript()
        self.assertIn(b"codes 0 7 0", shown)
        self.agent({"example": policy_for(NOTES_PY)})
        governed_shown, governed_answers = self.transcript()
        self.assertEqual(governed_shown, shown)
        self.assertEqual([governed_answers[0], governed_answers[2]], [answers[0], answers[2]])
        self.assert_denied(json.loads(governed_answers[1]))


if __name__ == "__main__":
    main()
