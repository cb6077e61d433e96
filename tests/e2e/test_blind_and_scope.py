"""What callgate cannot take over is said and decided by the policy; what is out of scope is not touched at all."""
import ctypes
import hashlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

from governed import *  # noqa: F403
from governed import BINARY, MCP_SERVER, SLOWNESS, EndToEnd, cpp_server, json, main, policy, wait_for

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
PTRACE_TRACEME, PTRACE_CONT = 0, 7
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
SYS_DUP3, SYS_PIPE2, SYS_SOCKETPAIR = 292, 293, 53
SECCOMP_RET_ERRNO_EPERM, SECCOMP_RET_ALLOW = 0x00050001, 0x7FFF0000
NOBODY = 65534
# Starts a server once it is asked something, and passes everything on.
FORWARDS = """
import subprocess, sys
first = sys.stdin.buffer.readline()
server = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)
server.stdin.write(first)
server.stdin.flush()
sys.stdin.buffer.read()
server.stdin.close()
server.wait()
"""


def refuse(*numbers):
    """A seccomp filter (x86-64) under which these system calls fail; inherited by what is executed next."""
    def instruction(code, true, false, k):
        return struct.pack("HBBI", code, true, false, k)
    program = instruction(0x20, 0, 0, 0)  # load the system call's number
    for position, number in enumerate(numbers):
        program += instruction(0x15, len(numbers) - position, 0, number)  # jump if equal
    program += instruction(0x06, 0, 0, SECCOMP_RET_ALLOW) + instruction(0x06, 0, 0, SECCOMP_RET_ERRNO_EPERM)
    buffer = ctypes.create_string_buffer(program)
    filter_ = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    if LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter_, 0, 0):
        os._exit(99)


def refuse_what_a_takeover_needs():
    refuse(SYS_PIPE2, SYS_SOCKETPAIR, SYS_DUP3)


LATE = str(int(300 * SLOWNESS))  # milliseconds until a server reads: it is taken over before


class TestBlind(EndToEnd):
    SERVER = cpp_server("--readv")

    def traced(self, policies, lives=True, command=SERVER.command):
        """A server that its own parent traces, as a debugger does."""
        agent = self.agent(policies)
        client = self.client(command, preexec=lambda: LIBC.ptrace(PTRACE_TRACEME, 0, None, None))
        if not lives:
            return agent, client
        # subprocess sees the end of its exec pipe; the tracee now waits in the SIGTRAP that an exec raises.
        wait_for(lambda: "t (tracing stop)" in Path(f"/proc/{client.pid}/status").read_text(), "the stop after exec")
        os.waitpid(client.pid, os.WUNTRACED)
        self.assertEqual(LIBC.ptrace(PTRACE_CONT, client.pid, None, None), 0)
        return agent, client

    def test_traced_and_allowed(self):
        agent, client = self.traced({"p": policy(self.SERVER.match, denied="delete_note")})
        event = agent.wait_audit("session_blind")[0]
        self.assertIn("is traced by process", event["reason"])
        self.assertIs(event["killed"], False)
        session = agent.sessions()[0]
        self.assertEqual((session["state"], session["server"]["pid"]), ("blind", client.pid))
        self.assertIn("is traced by process", session["reason"])
        self.assertEqual({k: agent.status()["sessions"][k] for k in ("enforced", "blind")}, {"enforced": 0, "blind": 1})
        client.initialize()
        self.assert_result(client.call("delete_note"))  # ungoverned, and said to be

    def test_traced_and_killed(self):
        agent, client = self.traced({"p": policy(self.SERVER.match, on_blind="kill")}, lives=False)
        event = agent.wait_audit("session_blind")[0]
        self.assertIs(event["killed"], True)
        wait_for(lambda: os.WIFSIGNALED(os.waitpid(client.pid, os.WNOHANG)[1]) or None, "the end of the server")

    def test_traced_and_known_by_its_bytes_only(self):
        """Its first read is held; if it must be killed it is killed there, before it has what it was about to read."""
        first = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete_note"}}\n'
        for on_blind in ("allow", "kill"):
            with self.case(on_blind=on_blind):
                log = self.directory() / "log"
                log.touch()
                agent, client = self.traced({"p": policy({"user": "root"}, denied="delete_note", on_blind=on_blind)},
                                            command=cpp_server("--log", str(log)).command)
                client.send(first)
                event = agent.wait_audit("session_blind")[0]
                self.assertIn("is traced by process", event["reason"])
                self.assertIs(event["killed"], on_blind == "kill")
                if on_blind == "kill":
                    client.read_rest()
                    self.assertEqual(os.WTERMSIG(os.waitpid(client.pid, 0)[1]), signal.SIGKILL)
                    if not agent.status()["kernel"]["hold_expired"]:  # on a busy machine
                        self.assertEqual(log.read_bytes(), b"")
                else:
                    self.assert_result(client.answer(1))
                    self.assertEqual(log.read_bytes(), first)
                self.stop_agent(agent)

    def test_an_output_that_is_no_channel(self):
        """Nothing can be put before a file. It is said when the server reads, and decided before it has what it reads."""
        log = self.directory() / "log"
        call = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete_note"}}\n'
        for match in (cpp_server("--log", str(log)).match, {"user": "root"}):
            for started_before in (False, True):
                for on_blind in ("allow", "kill"):
                    with self.case(match=match, started_before=started_before, on_blind=on_blind):
                        rules = {"p": policy(match, denied="delete_note", on_blind=on_blind)}
                        log.write_bytes(b"")
                        output = self.directory() / "output"
                        agent = None if started_before else self.agent(rules)
                        with open(output, "wb") as file:
                            server = subprocess.Popen(cpp_server("--log", str(log)).command, stdin=subprocess.PIPE, stdout=file,
                                                      stderr=self._stderr)
                        self.addCleanup(lambda server=server: server.poll() is None and server.kill())
                        agent = agent or self.agent(rules)
                        with server.stdin:
                            server.stdin.write(call)
                            server.stdin.flush()
                            event = agent.wait_audit("session_blind")[0]
                            self.assertIn("standard output: it is neither a pipe nor a socket", event["reason"])
                            self.assertEqual((event["server"]["pid"], event["killed"]), (server.pid, on_blind == "kill"))
                            if on_blind == "kill":
                                self.assertEqual(server.wait(20), -signal.SIGKILL)
                                if not agent.status()["kernel"]["hold_expired"]:  # on a busy machine
                                    self.assertEqual(log.read_bytes(), b"")
                        if on_blind == "allow":
                            self.assertEqual(server.wait(20), 0)
                            self.assertEqual(log.read_bytes(), call)
                            self.assertEqual(json.loads(output.read_bytes())["id"], 1)
                        self.stop_agent(agent)

    @staticmethod
    def pair(kind):
        if kind != "tcp":
            return socket.socketpair(socket.AF_UNIX, kind)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours = socket.create_connection(listener.getsockname())
            return ours, listener.accept()[0]

    def test_an_input_that_nothing_can_be_put_before(self):
        """Sockets of packets, and one that was connected from the server's side: it is said when the program starts."""
        server = cpp_server("--label=out-of-reach")
        for kind in (socket.SOCK_SEQPACKET, socket.SOCK_DGRAM, "tcp"):
            for started_before, on_blind in ((False, "allow"), (False, "kill"), (True, "kill")):
                with self.case(kind=kind, started_before=started_before, on_blind=on_blind):
                    rules = {"p": policy(server.match, denied="delete_note", on_blind=on_blind)}
                    agent = None if started_before else self.agent(rules)
                    input_, other = self.pair(kind)
                    process = subprocess.Popen(server.command, stdin=input_, stdout=subprocess.PIPE, stderr=self._stderr)
                    self.addCleanup(lambda process=process: [process.kill(), process.wait(), process.stdout.close()])
                    with input_, other:
                        agent = agent or self.agent(rules)
                        event = agent.wait_audit("session_blind")[0]
                        self.assertIn("standard input", event["reason"])
                        self.assertEqual((event["server"]["pid"], event["killed"]), (process.pid, on_blind == "kill"))
                        if on_blind == "kill":
                            self.assertEqual(process.wait(20), -signal.SIGKILL)
                        else:
                            other.send(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
                            self.assertEqual(json.loads(process.stdout.readline())["id"], 1)
                    self.stop_agent(agent)

    def test_a_server_that_ignores_the_trap_of_a_debugger(self):
        agent = self.agent({"p": policy(self.SERVER.match, denied="delete_note")})
        client = self.client(self.SERVER.command, preexec=lambda: signal.signal(signal.SIGTRAP, signal.SIG_IGN))
        client.initialize()
        self.assert_denied(client.call("delete_note"))
        self.assertIn("SigIgn:\t0000000000000010", Path(f"/proc/{client.pid}/status").read_text())
        client.shutdown()

    @staticmethod
    def stop_all_threads(agent):
        os.kill(agent.pid, signal.SIGSTOP)
        # Each thread stops by itself; one that has not yet would still take a server over.
        wait_for(lambda: all("State:\tT" in status.read_text() for status in Path(f"/proc/{agent.pid}/task").glob("*/status")),
                 "all threads of the agent being stopped")

    def read_while_the_agent_sleeps(self, **more):
        """The agent is stopped while a server starts and reads its first frame, so that the kernel's hold runs out."""
        log = self.directory() / "log"
        server = cpp_server("--log", str(log))
        agent = self.agent({"p": policy(server.match, denied="delete_note", **more)})
        try:
            self.stop_all_threads(agent)
            client = self.client(server.command)
            client.send(b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete_note"}}\n')
            wait_for(lambda: log.exists() and b"delete_note" in log.read_bytes(), "the first frame being read")
        finally:
            os.kill(agent.pid, signal.SIGCONT)
        event = agent.wait_audit("session_blind")[0]
        self.assertIn("the hold ran out", event["reason"])
        self.assertGreaterEqual(agent.status()["kernel"]["hold_expired"], 1)
        return agent, client, event

    def test_an_agent_that_does_not_answer_delays_two_reads_for_long(self):
        """The others wait a sixteenth of the hold's time. Twenty times all of it would be two seconds."""
        log = self.directory() / "log"
        agent = self.agent({"p": policy({"user": "root"}, denied="delete_note")})
        try:
            self.stop_all_threads(agent)
            client = self.client(cpp_server("--log", str(log)).command)
            wait_for(log.exists, "the server")
            begin = time.monotonic()
            for number in range(20):
                line = f"line {number}\n".encode()
                client.send(line)
                wait_for(lambda: log.read_bytes().endswith(line), "the line being read", interval=0.002)
            took = time.monotonic() - begin
        finally:
            os.kill(agent.pid, signal.SIGCONT)
        self.assertGreaterEqual(agent.status()["kernel"]["hold_expired"], 20)
        self.assertGreater(took, 0.2)
        self.assertLess(took, 1.2)

    def test_the_hold_ran_out_and_that_is_allowed(self):
        """Nobody claims that the first frame was judged; everything after it is."""
        agent, client, event = self.read_while_the_agent_sleeps()
        self.assertIs(event["killed"], False)
        self.assertFalse(client.answer(1)["result"].get("isError", False))
        started = agent.wait_audit("session_start")[0]
        self.assertIs(started["adopted"], True)
        self.assertIn("the hold ran out", started["remark"])
        self.assert_denied(client.call("delete_note"))
        self.assertEqual(client.shutdown(), 0)

    def test_the_hold_ran_out_and_the_server_is_killed(self):
        _, client, event = self.read_while_the_agent_sleeps(on_blind="kill")
        self.assertIs(event["killed"], True)
        client.read_rest()
        self.assertEqual(client.wait(), -signal.SIGKILL)

    def test_a_seccomp_filter_does_not_matter(self):
        agent = self.agent({"p": policy(self.SERVER.match, denied="delete_note")})
        client = self.client(self.SERVER.command, preexec=refuse_what_a_takeover_needs)
        client.initialize()
        self.assertEqual(Path(f"/proc/{client.pid}/status").read_text().split("Seccomp:")[1].split()[0], "2")
        self.assert_denied(client.call("delete_note"))
        self.assert_enforced(agent, client.pid)
        self.assertEqual(client.shutdown(), 0)

    def refused_by_seccomp(self, **more):
        """A tracer that has a filter itself, as in a container, cannot suspend those of others (ptrace(2))."""
        agent = self.agent({"p": policy(self.SERVER.match, denied="delete_note", **more)}, preexec=refuse)
        client = self.client(self.SERVER.command, preexec=refuse_what_a_takeover_needs)
        event = agent.wait_audit("session_blind")[0]
        self.assertIn("seccomp", event["reason"])
        self.assertEqual(agent.audit("session_start"), [])
        return client, event

    def test_seccomp_refuses_and_that_is_allowed(self):
        client, event = self.refused_by_seccomp()
        self.assertIs(event["killed"], False)
        client.initialize()
        self.assert_result(client.call("delete_note"))
        self.assertEqual(client.shutdown(), 0)

    def test_seccomp_refuses_and_the_server_is_killed(self):
        client, event = self.refused_by_seccomp(on_blind="kill")
        self.assertIs(event["killed"], True)
        client.read_rest()
        self.assertEqual(client.wait(), -signal.SIGKILL)


class TestScope(EndToEnd):
    SERVER = cpp_server("--readv")

    def test_outside_the_tree(self):
        """A server that some other process's child starts is not seen; one of the tree is."""
        elsewhere = subprocess.Popen(["sleep", "1000"])
        try:
            agent = self.agent({"p": policy(self.SERVER.match, default="deny")}, scope=elsewhere.pid)
            client = self.client(self.SERVER.command)
            client.initialize()
            self.assert_result(client.call("delete_note"))
            self.assertEqual(agent.sessions(), [])
            self.assertEqual(agent.status()["kernel"]["candidates"], 0)
            client.shutdown()
        finally:
            elsewhere.kill()
            elsewhere.wait()

    def test_two_trees(self):
        trees = [subprocess.Popen(["sleep", "1000"]), subprocess.Popen([sys.executable, "-c", FORWARDS, *self.SERVER.command],
                                                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)]
        try:
            agent = self.agent({"p": policy(self.SERVER.match)}, scope=trees[0].pid,
                               arguments=("--scope-tree", str(trees[1].pid)))
            trees[1].stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
            trees[1].stdin.flush()
            self.assertIn(b'"id":1', trees[1].stdout.readline())
            self.assert_enforced(agent)
            trees[1].stdin.close()
            trees[1].stdout.read()
        finally:
            for tree in trees:
                tree.kill()
                tree.wait()
            trees[1].stdout.close()

    def test_users(self):
        """Of two equal servers only the one that the listed user runs."""
        agent = self.agent({"p": policy({"command": "*mcp_server*"}, denied="delete_note")}, config={"scope": {"users": [NOBODY]}})
        place = self.directory()
        place.chmod(0o755)
        program = shutil.copy(MCP_SERVER, place)
        inside, outside = self.client([program], uid=NOBODY), self.client([program])
        for client in (inside, outside):
            client.initialize()
        self.assert_denied(inside.call("delete_note"))
        self.assert_result(outside.call("delete_note"))
        self.assertEqual([s["server"]["pid"] for s in agent.sessions()], [inside.pid])
        inside.shutdown()
        outside.shutdown()

    def test_cgroup(self):
        mount = next(line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()
                     if line.split()[2] == "cgroup2")
        group = Path(mount) / f"callgate-test-{os.getpid()}"
        group.mkdir()
        elsewhere = subprocess.Popen(["sleep", "1000"])
        try:
            agent = self.agent({"p": policy(self.SERVER.match, denied="delete_note")}, scope=elsewhere.pid,
                               arguments=("--scope-cgroup", str(group)))
            inside = self.client(self.SERVER.command,
                                 preexec=lambda: (group / "cgroup.procs").write_text(str(os.getpid())))
            outside = self.client(self.SERVER.command)
            for client in (inside, outside):
                client.initialize()
            self.assert_denied(inside.call("delete_note"))
            self.assert_result(outside.call("delete_note"))
            self.assertEqual([s["server"]["pid"] for s in agent.sessions()], [inside.pid])
            inside.shutdown()
            outside.shutdown()
        finally:
            elsewhere.kill()
            elsewhere.wait()
            wait_for(lambda: not (group / "cgroup.procs").read_text(), "the test's cgroup being empty")
            group.rmdir()

    def cgroup(self):
        """A path of a cgroup that is not there; removed at the end."""
        mount = next(line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines() if line.split()[2] == "cgroup2")
        group = Path(mount) / f"callgate-test-{os.getpid()}-{time.monotonic_ns()}"

        def remove():
            for path in (group / "below", group):
                if path.exists():
                    self.empty(path)
        self.addCleanup(remove)
        return group

    @staticmethod
    def empty(group):
        wait_for(lambda: not (group / "cgroup.procs").read_text(), "the test's cgroup being empty")
        group.rmdir()

    def assert_governs(self, agent, group):
        client = self.client(self.SERVER.command, preexec=lambda: (group / "cgroup.procs").write_text(str(os.getpid())))
        wait_for(lambda: [s for s in agent.sessions() if s["server"]["pid"] == client.pid and s["state"] == "enforced"], "the server being governed")
        client.initialize()
        self.assert_denied(client.call("delete_note"))
        client.shutdown()

    def scoped_to(self, group):
        elsewhere = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(lambda: (elsewhere.kill(), elsewhere.wait()))
        return self.agent({"p": policy(self.SERVER.match, denied="delete_note")}, scope=elsewhere.pid,
                          config={"scope": {"cgroups": [str(group)]}})

    def problems(self, agent, group):
        return [each for each in agent.status()["problems"] if str(group) in each]

    def test_a_cgroup_that_is_made_again(self):
        """As a service's is that ends and starts again: what runs in the new one is in scope, and that there was none was said."""
        group = self.cgroup()
        group.mkdir()
        agent = self.scoped_to(group)
        self.assertEqual(self.problems(agent, group), [])
        self.assert_governs(agent, group)
        self.empty(group)
        wait_for(lambda: self.problems(agent, group), "the status saying that it is gone")
        group.mkdir()
        self.assert_governs(agent, group)
        self.assertEqual(self.problems(agent, group), [])
        for _ in range(3):  # with no time between
            self.empty(group)
            group.mkdir()
            self.assert_governs(agent, group)

    def test_a_cgroup_that_comes_after_the_agent(self):
        """As a user's slice does who logs in; with the directory above it."""
        group = self.cgroup() / "below"
        agent = self.scoped_to(group)
        self.assertIn("not there now", self.problems(agent, group)[0])
        checks = json.loads(agent.command("doctor", "--json", "--config", str(agent.config_directory)).stdout)["checks"]
        self.assertEqual([c["state"] for c in checks if c["name"] in ("configuration", "scope")], ["ok", "degraded"])
        group.parent.mkdir()
        group.mkdir()
        self.assert_governs(agent, group)
        self.assertEqual(self.problems(agent, group), [])
        link = agent.directory / "link"
        link.symlink_to(group)
        self.stop_agent(agent)
        self.assert_governs(self.scoped_to(link), group)

    def test_what_is_no_cgroup(self):
        config = self.agent({}).config_directory
        for path in ("/nowhere/at/all", "/tmp", "/sys/fs/cgroup/../../../tmp"):
            done = subprocess.run([str(BINARY), "run", "--config", str(config), "--scope-cgroup", path],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
            self.assertEqual(done.returncode, 78, done.stderr)
            self.assertIn("is not a directory of cgroup v2", done.stderr)


class TestUnseenReads(EndToEnd):
    """Reads that cannot be held or undone."""

    def start(self, *options, **more):
        self.log = self.directory() / f"log-{time.monotonic_ns()}"
        self.log.touch()
        return self.client([MCP_SERVER, *options, "--log", str(self.log)], **more)

    def test_what_is_under_way_when_the_agent_comes(self):
        """Nobody can say what a ring reads, and nobody can take it back: that is said, and on_blind decides."""
        for option in ("--io_uring", "--registered"):
            for on_blind in ("allow", "kill"):
                with self.case(option=option, on_blind=on_blind):
                    client = self.start(option)
                    client.initialize()
                    agent = self.agent({"p": policy(cpp_server().match, denied="delete_note", on_blind=on_blind)})
                    event = agent.wait_audit("session_blind")[0]
                    self.assertIn("read through io_uring", event["reason"])
                    self.assertIs(event["killed"], on_blind == "kill")
                    if on_blind == "kill":
                        client.read_rest()
                        self.assertEqual(client.wait(), -signal.SIGKILL)
                    else:
                        self.assert_result(client.call("delete_note"))  # ungoverned, and said to be
                    client.kill()
                    self.stop_agent(agent)

    def test_handed_back_with_a_read_under_way(self):
        """That read is of the channel that goes; the ones after it are of the client's own."""
        agent = self.agent({"p": policy(cpp_server().match, denied="delete_note", on_blind="kill")})
        client = self.start("--late", LATE, "--io_uring")
        self.assert_denied(client.call("delete_note"))
        self.assert_result(client.call("echo", {"text": "a"}))
        self.stop_agent(agent)
        for _ in range(3):
            self.assert_result(client.call("delete_note"))
        self.assertEqual(client.shutdown(), 0)

    def test_taken_over_before_it_reads(self):
        """Then it reads what has been judged, in whatever way."""
        for option in ("--splice", "--io_uring", "--registered"):
            with self.case(option=option):
                agent = self.agent({"p": policy(cpp_server().match, denied="delete_note", on_blind="kill")})
                client = self.start("--late", LATE, option)
                for identifier in range(3):
                    self.assert_denied(client.call("delete_note", identifier=identifier))
                self.assertEqual(client.shutdown(), 0)
                self.assertEqual(agent.status()["sessions"]["blind"], 0)
                self.stop_agent(agent)

    def test_known_by_its_bytes_only(self):
        """Nobody can see whether the first of them are MCP: the server is taken over, and what comes after shows it."""
        agent = self.agent({"p": policy({"user": "root"}, denied="delete_note", on_blind="kill")})
        client = self.start("--splice")
        client.initialize()
        self.assertIn("splice(2)", agent.wait_audit("session_start")[0]["remark"])  # nothing is held until then
        self.assert_denied(client.call("delete_note"))
        self.assertEqual(client.shutdown(), 0)
        filter = self.client([sys.executable, "-c", "import os\nwhile os.splice(0, 1, 65536): pass"])
        for line in (b"plain text\n", b"more { of it\n"):
            filter.send(line)
            self.assertEqual(filter.read_line(), line)
        self.assertEqual(filter.shutdown(), 0)
        self.assertEqual(agent.status()["sessions"]["blind"], 0)
        client = self.start("--io_uring")  # it might be anything: it is said, and not killed
        client.initialize()
        event = agent.wait_audit("session_blind")[0]
        self.assertIn("read through io_uring", event["reason"])
        self.assertIs(event["killed"], False)
        self.assert_result(client.call("delete_note"))
        self.assertEqual(client.shutdown(), 0)

    def test_recvmmsg_is_held(self):
        agent = self.agent({"p": policy({"user": "root"}, denied="delete_note")})
        client = self.start("--recvmmsg", channel="socketpair")
        for identifier in range(3):
            self.assert_denied(client.call("delete_note", identifier=identifier))
        self.assertEqual(self.log.read_bytes(), b"")
        self.assertEqual(client.shutdown(), 0)
        self.assertEqual(agent.status()["sessions"]["blind"], 0)


class TestByProgram(EndToEnd):
    def test_a_hash_follows_a_copy(self):
        """Whatever it is called and wherever it lies; another program is not meant."""
        sha256 = hashlib.sha256(Path(MCP_SERVER).read_bytes()).hexdigest()
        agent = self.agent({"p": policy({"exe_sha256": sha256}, denied="delete_note")})
        copy, other = (shutil.copy(MCP_SERVER, self.directory() / name) for name in ("renamed", "other"))
        with open(other, "ab") as program:
            program.write(b"x")
        meant, not_meant = self.client([copy]), self.client([other])
        for client in (meant, not_meant):
            client.initialize()
        self.assert_denied(meant.call("delete_note"))
        self.assert_result(not_meant.call("delete_note"))
        self.assertEqual([s["server"]["pid"] for s in agent.sessions()], [meant.pid])
        meant.shutdown()
        not_meant.shutdown()


class TestByUser(EndToEnd):
    """A policy that names only a user says nothing about programs: the bytes decide."""

    def test_a_server_and_a_filter_of_one_user(self):
        agent = self.agent({"p": policy({"user": str(NOBODY)}, default="deny")})
        place = self.directory()  # the build may lie where only its owner can look
        place.chmod(0o755)
        server = self.client([shutil.copy(MCP_SERVER, place)], uid=NOBODY)
        server.post("initialize", {"protocolVersion": "2025-11-25", "capabilities": {},
                                   "clientInfo": {"name": "x", "version": "1"}}, identifier=0)
        server.answer(0)
        self.assert_denied(server.call("delete_note"))
        self.assert_enforced(agent, server.pid)
        cat = self.client(["cat"], uid=NOBODY)
        for line in (b"plain text\n", b"more { of it\n"):
            cat.send(line)
            self.assertEqual(cat.read_line(), line)
        self.assertEqual([s["server"]["pid"] for s in agent.sessions()], [server.pid])
        cat.shutdown()
        server.shutdown()

    def test_servers_that_no_policy_names_can_be_denied(self):
        agent = self.agent({}, config={"unnamed": "deny"})
        client = self.client([MCP_SERVER])
        client.initialize()
        self.assert_denied(client.call("echo", {"text": "x"}), rule="(no policy)")
        self.assert_enforced(agent, client.pid)
        client.shutdown()


if __name__ == "__main__":
    main()
