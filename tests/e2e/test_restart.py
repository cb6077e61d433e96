"""Planned restarts and upgrades: a new agent goes on with every session, and nobody notices but by a short wait."""
import fcntl
import shutil
import signal
import socket
import struct
import subprocess
import threading

from governed import *  # noqa: F403
from governed import BINARY, LONG, NOTES_BUN, NOTES_PY, PYTHON, SANITIZERS, EndToEnd, Path, cpp_server, echo, echoed, json, main, os, policy, policy_for, time, wait_for
from kept_sessions import CHANNELS, Load, SessionsGoOn


def sealed(format, payload):
    """A state as restart/state_blob.h has it."""
    total = 0xcbf29ce484222325
    for byte in payload:
        total = (total ^ byte) * 0x100000001b3 % (1 << 64)
    memory = os.memfd_create("state", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(memory, b"CGSTATE\n" + struct.pack("<IIQQ", format, 0, len(payload), total) + payload)
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
    return memory


class TestRestart(SessionsGoOn, EndToEnd):
    killed = False
    servers = (NOTES_PY, NOTES_BUN, cpp_server("--readv"), cpp_server("--epoll"), cpp_server("--double-fork"))

    def replace(self, agent):
        agent.restart()

    def check_records(self, agent, calls):
        asked = agent.wait_audit("message", count=len(calls), direction="c2s", method="tools/call")
        self.assertEqual([record["decision"] for record in asked], calls)
        answers = agent.wait_audit("message", direction="s2c", answers=asked[0]["id"])
        self.assertEqual(len(answers), 1)

    def test_nothing_to_do(self):
        agent = self.kept({"p": policy(NOTES_PY.match)})
        first = agent.pid
        agent.restart()
        self.assertNotEqual(agent.pid, first)
        self.assertEqual(agent.sessions(), [])

    def test_under_load(self):
        """64 sessions, frames of 20 bytes to 1 MiB, a quarter of the calls denied; each restart under way."""
        restarts, sessions = (200, 64) if LONG else (20, 64)
        server = cpp_server("--readv")
        # Not those that have it among their arguments, as stdio_load does.
        agent = self.kept({"p": policy({"command": " ".join(server.command)}, denied="delete_note")})
        load = Load(server, sessions, depth=4, pause_ms=20, large_each=60)
        self.addCleanup(load.kill)
        wait_for(lambda: self.enforced(agent) == sessions, "the sessions")
        for _ in range(restarts):
            self.assertEqual(load.command("begin"), "begun")
            self.assertEqual(agent.restart()["sessions"], sessions)
            self.assertEqual(load.command("settle"), "settled")
        report, code, said = load.stop()
        print(f"{restarts} restarts, {sessions} sessions: {json.dumps(report)}")
        self.assertEqual((code, said), (0, ""))
        self.assertGreater(report["denied"], restarts * sessions)
        ended = agent.wait_audit("session_end", count=sessions)
        self.assertEqual({record["reason"] for record in ended}, {"ended"})
        self.assertEqual(sum(record["frames"]["denied"] for record in ended), report["denied"])
        # Of a session whose first read nobody could hold in time, what was read then is not in the books.
        unseen = report["calls"] - sum(record["frames"]["in"] for record in ended)
        self.assertLessEqual(unseen, 4 * len(agent.audit("session_blind")))
        self.assertGreaterEqual(unseen, 0)
        self.assertEqual(len(agent.audit("session_resumed")), restarts * sessions)
        self.assertEqual(agent.audit("session_lost"), [])

    def test_many_sessions(self):
        """They go on long before the next agent has its programs in the kernel. With CALLGATE_LONG for three hours at most.
        $CALLGATE_RESTARTS: another number of restarts."""
        restarts, sessions = (1000, 1000) if LONG else (3, 200)
        restarts = int(os.environ.get("CALLGATE_RESTARTS", restarts))
        server = cpp_server("--readv")
        # Not those that have it among their arguments, as stdio_load does.
        agent = self.kept({"p": policy({"command": " ".join(server.command)}, denied="delete_note")})
        load = Load(server, sessions, depth=1, pause_ms=2000 if LONG else 500, large_each=0)
        self.addCleanup(load.kill)
        wait_for(lambda: self.enforced(agent) == sessions, "the sessions", seconds=60, interval=0.1)
        until = time.monotonic() + 3 * 3600
        parts = []
        while len(parts) < restarts and time.monotonic() < until:
            os.truncate(agent.audit_path, 0)  # of a thousand restarts it would be some gigabytes
            load.command("begin")
            said = agent.restart()
            self.assertEqual(said["sessions"], sessions)
            self.assertEqual(load.command("settle"), "settled")
            waits = sorted(json.loads(load.command("waits")))
            parts.append(waits[len(waits) * 99 // 100] / said["milliseconds"])
            self.assertEqual(len(agent.audit("session_resumed")), sessions)
            self.assertEqual(agent.audit("session_lost"), [])
        report, code, said = load.stop()
        parts.sort()
        print(f"{len(parts)} restarts, {sessions} sessions: {json.dumps(report)}; 99 of 100 went on after {parts[len(parts) // 2]:.2f} of "
              "the time until the next agent was ready")
        self.assertEqual((code, said), (0, ""))
        if not any(SANITIZERS):  # they slow the agent down, and not the kernel, which has the larger part otherwise
            self.assertLess(parts[len(parts) // 2], 0.5)

    def test_the_client_or_the_server_ends_meanwhile(self):
        """An end that nobody was there to see is seen."""
        server = cpp_server("--readv")
        for channel in CHANNELS:
            for who in ("client", "server"):
                with self.case(channel=channel, who=who):
                    agent = self.kept({"p": policy_for(server)})
                    client = self.client(server.command, channel=channel)
                    client.initialize()
                    asked = echo(client, server, "last") if who == "client" else None
                    os.kill(agent.pid, signal.SIGSTOP)
                    restarting = threading.Thread(target=agent.restart)
                    restarting.start()
                    if who == "client":
                        client.close_stdin()
                    else:
                        client.process.kill()
                    os.kill(agent.pid, signal.SIGCONT)
                    restarting.join(60)
                    if asked:
                        self.assertEqual(echoed(client.answer(asked)), "last")
                    client.read_rest()
                    self.assertEqual(client.wait(), 0 if who == "client" else -signal.SIGKILL)
                    agent.wait_audit("session_end")

    def test_states_that_cannot_be_gone_on_with(self):
        """A newer agent's, and a damaged one: said, and both sides see an end instead of waiting."""
        for said, state in (("left by a newer one", sealed(4, b"\xa0")), ("state of a session", sealed(1, b"\xa0")),
                            ("parse error", sealed(1, b"\xa1\x68sess"))):
            with self.case(said=said):
                reading, writing = os.pipe()
                other_reading, other_writing = os.pipe()
                parcel, sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                agent_state = sealed(1, b"\xa1\x68sessions\x01")
                socket.send_fds(sender, [b"agent"], [agent_state])
                socket.send_fds(sender, [b"session"], [state, reading, other_writing])
                for fd in (reading, other_writing, state, agent_state):
                    os.close(fd)
                sender.close()
                agent = self.agent({"p": policy(NOTES_PY.match)}, left=parcel.fileno())
                parcel.close()
                self.assertEqual(os.read(other_reading, 1), b"")
                with self.assertRaises(BrokenPipeError):
                    os.write(writing, b"x")
                self.assertIn(said, agent.audit("session_lost")[0]["reason"])
                self.assertIn("sessions of the agent before", agent.log())
                for fd in (writing, other_reading):
                    os.close(fd)

    def test_the_answer_comes_however_busy_the_host(self):
        """The thread that answers gets next to no processor, and the agent does not end before it has."""
        agent = self.kept({"p": policy_for(NOTES_PY)})
        for _ in range(3):
            answering, = [int(task.name) for task in Path(f"/proc/{agent.pid}/task").iterdir() if (task / "comm").read_text() == "cg-control\n"]
            os.sched_setscheduler(answering, os.SCHED_IDLE, os.sched_param(0))
            hogs = [subprocess.Popen([PYTHON, "-c", "while True: pass"]) for _ in range(2 * os.cpu_count())]
            try:
                agent.restart()
            finally:
                for hog in hogs:
                    hog.kill()
                    hog.wait()

    def test_an_upgrade(self):
        """The binary that is there when the agent ends is the one that starts."""
        binary = self.directory() / "callgate"
        shutil.copy(BINARY, binary)
        agent = self.kept({"p": policy_for(NOTES_PY)}, binary=binary)
        client = self.client(NOTES_PY.command)
        client.initialize()
        other = binary.with_suffix(".new")
        shutil.copy(BINARY, other)
        inode = other.stat().st_ino
        other.rename(binary)
        agent.restart()
        self.assertEqual(os.stat(f"/proc/{agent.pid}/exe").st_ino, inode)
        self.assert_denied(client.call(*NOTES_PY.denied))
        self.assertEqual(client.shutdown(), 7)

    def test_a_policy_that_changed_or_went_meanwhile(self):
        agent = self.kept({"p": policy_for(NOTES_PY)})
        client = self.client(NOTES_PY.command)
        client.initialize()
        path = agent.config_directory / "policies.d" / "p.json"
        path.write_text(json.dumps(policy(NOTES_PY.match, denied="echo")))
        agent.restart()
        self.assert_denied(client.call("echo", {"text": "x"}))
        self.assert_result(client.call(*NOTES_PY.denied))
        path.unlink()
        agent.restart()
        ended = agent.wait_audit("session_end")[0]
        self.assertEqual(ended["reason"], "released: no policy names it any more")
        self.assertEqual(echoed(client.answer(echo(client, NOTES_PY, "alone"))), "alone")
        self.assertEqual(client.shutdown(), 7)

    def test_a_policy_that_is_bad_by_then(self):
        """A restart is refused; where only the next agent finds it so, nothing may be called until it is mended."""
        binary = self.directory() / "callgate"
        shutil.copy(BINARY, binary)
        agent = self.kept({"p": policy_for(NOTES_PY)}, binary=binary)
        client = self.client(NOTES_PY.command)
        client.initialize()
        path = agent.config_directory / "policies.d" / "p.json"
        good = path.read_text()
        path.write_text("{")
        refused = agent.command("restart", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("p.json", refused.stderr)
        self.assert_denied(client.call(*NOTES_PY.denied))
        self.assert_result(client.call("echo", {"text": "x"}))
        path.write_text(good)
        wrapper = binary.with_suffix(".new")
        wrapper.write_text(f"#!/bin/sh\n[ \"$1\" != run ] || echo '{{' >{path}\nexec {BINARY} \"$@\"\n")
        wrapper.chmod(0o755)
        wrapper.rename(binary)
        agent.restart()
        for tool in ("echo", NOTES_PY.denied[0]):
            self.assert_denied(client.call(tool, {"text": "x"}), rule="(bad policy)")
        path.write_text(good)
        agent.command("reload")
        self.assert_result(client.call("echo", {"text": "x"}))
        self.assert_denied(client.call(*NOTES_PY.denied))
        self.assertEqual(client.shutdown(), 7)

    def test_a_configuration_that_no_agent_can_start_with(self):
        """However well it reads: a restart is refused, since sessions that fail closed would end."""
        def others_may_write(agent):
            (agent.directory / "state").chmod(0o777)
            return lambda: (agent.directory / "state").chmod(0o700)

        def said(**more):
            def say(agent):
                path = agent.config_directory / "callgate.json"
                good = path.read_text()
                path.write_text(json.dumps({**json.loads(good), **more}))
                return lambda: path.write_text(good)
            return say

        def others_may_read(name):
            def spoil(agent):
                (agent.directory / "state" / name).chmod(0o640)
                return lambda: (agent.directory / "state" / name).chmod(0o600)
            return spoil

        webhook = {"url": "https://example.invalid/", "secret_file": "/nowhere/secret"}
        for spoil, expected in ((others_may_write, "can be written by others"), (said(state_directory="here"), "whole path"),
                                (others_may_read("audit.secret"), "the hash secret"), (others_may_read("state.db"), "chmod 0600"),
                                (said(approvals={"webhook": webhook}), "/nowhere/secret"), (said(state_directory="/etc/passwd"), "is no directory"),
                                (said(scope={"users": list(range(65))}), "more than 64 users")):
            with self.case(expected=expected):
                agent = self.kept({"p": policy_for(NOTES_PY, fail="closed")})
                client = self.client(NOTES_PY.command)
                client.initialize()
                mend = spoil(agent)
                refused = agent.command("restart", check=False)
                self.assertIn(expected, refused.stderr)
                self.assertNotEqual(refused.returncode, 0)
                self.assert_denied(client.call(*NOTES_PY.denied))
                mend()
                agent.restart()
                self.assert_denied(client.call(*NOTES_PY.denied))
                self.assertEqual(client.shutdown(), 7)
                self.stop_agent(agent)

    def test_a_stop_hands_back(self):
        agent = self.kept({"p": policy_for(NOTES_PY)})
        client = self.client(NOTES_PY.command)
        client.initialize()
        agent.restart()
        self.stop_agent(agent)
        self.assertEqual(client.original_ends[0], os.readlink(f"/proc/{client.pid}/fd/0"))
        self.assert_result(client.call(*NOTES_PY.denied))
        self.assertEqual(client.shutdown(), 7)

    def test_sessions_that_cannot_be_kept_after_all(self):
        """The keeper does not answer in time: they are handed back, and the next agent takes them over anew."""
        agent = self.kept({"p": policy_for(NOTES_PY)})
        client = self.client(NOTES_PY.command)
        client.initialize()
        os.kill(agent.process.pid, signal.SIGSTOP)
        asking = subprocess.Popen([str(agent.binary), "restart", "--control", str(agent.control_path)], stdout=subprocess.DEVNULL)
        self.addCleanup(asking.wait)
        self.addCleanup(asking.kill)
        try:
            wait_for(lambda: "cannot be kept for the next agent" in agent.log(), "the agent to give up", interval=0.05)
        finally:
            os.kill(agent.process.pid, signal.SIGCONT)
        before = agent.pid
        agent.wait_ready()
        self.assertNotEqual(agent.pid, before)
        self.assertEqual([end["reason"] for end in agent.audit("session_end")], ["handed back: the agent stops"])
        self.assertEqual(agent.audit("session_lost"), [])
        self.assert_denied(client.call(*NOTES_PY.denied))
        self.assertEqual(client.shutdown(), 7)

    def test_an_agent_that_is_killed_is_started_again(self):
        agent = self.kept({"p": policy_for(NOTES_PY)})
        os.kill(agent.pid, signal.SIGKILL)
        agent.wait_ready()
        client = self.client(NOTES_PY.command)
        client.initialize()
        self.assert_denied(client.call(*NOTES_PY.denied))
        self.assertEqual(client.shutdown(), 7)

    def test_who_cannot_be_restarted_says_so(self):
        agent = self.agent({"p": policy(NOTES_PY.match)})
        done = agent.command("restart", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("callgate keep", done.stderr)
        self.assertNotIn("try again", done.stderr)
        self.assertTrue(agent.running)

    def test_a_configuration_that_the_next_agent_could_not_start_with(self):
        agent = self.kept({"p": policy_for(NOTES_PY)})
        client = self.client(NOTES_PY.command)
        client.initialize()
        configuration = agent.config_directory / "callgate.json"
        good = configuration.read_text()
        configuration.write_text('{"nonsense": 1}')
        first = agent.pid
        done = agent.command("restart", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("nonsense", done.stderr)
        self.assertNotIn("try again", done.stderr)
        self.assertEqual(agent.status()["pid"], first)
        self.assert_denied(client.call(*NOTES_PY.denied))
        configuration.write_text(good)
        agent.restart()
        self.assertEqual(client.shutdown(), 7)


if __name__ == "__main__":
    main()
