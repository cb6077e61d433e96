"""What the agent learns of a restart from systemd, and what systemd keeps: a systemd of its own, first process of its own
namespaces, with one service (restart_probe.cpp). And the agent itself as a service of systemd; as it is installed it is in
tests/host."""
import contextlib
import os
import signal
import subprocess
from pathlib import Path

from governed import BINARY, EndToEnd, SystemdAgent, cpp_server, json, main, new_group, policy, wait_for
from kept_sessions import Load, has_counted_its_start

PROBE = Path(os.environ.get("CALLGATE_MCP_SERVER", BINARY.parent / "tests" / "harness" / "mcp_server")).parent / "restart_probe"
# In namespaces of its own: what is mounted here is nobody else's, and no setting of the host can be written.
INIT = """set -e
mount --make-rprivate /
mount -t tmpfs none /run
mount -t tmpfs none /etc/systemd/system
cp "$0"/*.service "$0"/only.target /etc/systemd/system/
mount -t proc none /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -t cgroup2 none /sys/fs/cgroup
exec env -i container=other PATH="$PATH" /lib/systemd/systemd --system --unit=only.target --log-level=warning --log-target=console --show-status=0
"""
SERVICE = """[Unit]
DefaultDependencies=no
StartLimitIntervalSec=0
[Service]
Type=notify
NotifyAccess=main
ExecStart={probe} {log}
FileDescriptorStoreMax={descriptors}
"""


class TestUnderSystemd(EndToEnd):
    def setUp(self):
        self.place = self.directory()
        for name, descriptors in (("keeping", 4), ("plain", 0)):
            text = SERVICE.format(probe=PROBE, log=self.place / f"{name}.log", descriptors=descriptors)
            (self.place / f"{name}.service").write_text(text)
        (self.place / "only.target").write_text("[Unit]\nWants=keeping.service plain.service\n")
        group = self.enterContext(new_group(f"callgate-test-{os.getpid()}"))
        self.outer = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "--cgroup", "--kill-child", "sh", "-c", INIT,
                                       str(self.place)], stdin=subprocess.DEVNULL, stdout=self._stderr, stderr=self._stderr,
                                      preexec_fn=lambda: (group / "cgroup.procs").write_text(str(os.getpid())))
        self.addCleanup(self.end)
        wait_for(lambda: self.log("keeping") and self.log("plain"), "the services")
        self.init = Path(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children").read_text().strip()
        self.systemctl("is-active", "--wait", "keeping", "plain")

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(self.init), signal.SIGKILL)
        self.outer.kill()
        self.outer.wait()

    def systemctl(self, *words):
        done = subprocess.run(["nsenter", "-t", self.init, "-m", "-p", "-C", "-u", "-i", "systemctl", *words], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, f"{words}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def log(self, name):
        path = self.place / f"{name}.log"
        return path.read_text().splitlines() if path.exists() else []

    def test_a_restart_is_none_but_a_restart(self):
        for verb in ("restart", "try-restart", "reload-or-restart"):
            self.systemctl(verb, "keeping")
        self.assertEqual(self.systemctl("show", "keeping", "--property", "NFileDescriptorStore", "--value"), "0")  # taken, and forgotten
        self.systemctl("stop", "keeping")
        self.systemctl("start", "keeping")
        self.assertEqual(self.log("keeping"), ["started, 0 descriptors", *["restart, kept", "started, 2 descriptors"] * 3, "stop",
                                               "started, 0 descriptors"])

    def test_a_unit_that_keeps_nothing(self):
        self.systemctl("restart", "plain")
        self.assertEqual(self.log("plain"), ["started, 0 descriptors", "restart, and nothing is kept", "started, 0 descriptors"])


class TestTheAgent(EndToEnd):
    SESSIONS, TURNS = 64, 8

    def test_restarted_and_killed_under_load(self):
        """systemd keeps what the sessions are; each second agent ends by SIGKILL, and is started again."""
        server = cpp_server("--readv")
        agent = self.agent({"p": policy({"command": " ".join(server.command)}, denied="delete_note")}, kind=SystemdAgent)
        load = Load(server, self.SESSIONS, depth=4, pause_ms=20, large_each=60)
        self.addCleanup(load.kill)
        wait_for(lambda: agent.status()["sessions"]["enforced"] == self.SESSIONS, "the sessions")
        for turn in range(self.TURNS):
            self.assertEqual(load.command("begin"), "begun")
            if turn % 2:
                os.kill(agent.pid, signal.SIGKILL)
                agent.wait_ready()
            else:
                self.assertEqual(agent.restart()["sessions"], self.SESSIONS)
            self.assertEqual(load.command("settle"), "settled")
        report, code, said = load.stop()
        print(json.dumps(report))
        self.assertEqual((code, said), (0, ""))
        ended = agent.wait_audit("session_end", count=self.SESSIONS)
        self.assertEqual({record["reason"] for record in ended}, {"ended"})
        self.assertEqual(sum(record["frames"]["denied"] for record in ended), report["denied"])
        self.assertEqual(agent.audit("session_lost"), [])
        resumed = [event["killed"] for event in agent.audit("session_resumed")]
        self.assertEqual((resumed.count(True), resumed.count(False)), (self.TURNS // 2 * self.SESSIONS,) * 2)

    def test_agents_that_are_never_ready(self):
        """However slowly they die, so that systemd sees no loop, the service fails in the end: the guard begins then."""
        agent = self.agent({"p": policy({"command": "nobody"})}, kind=SystemdAgent)
        self.assertEqual(agent.systemctl("show", "callgate", "--property", "StartLimitIntervalUSec", "--value"), "0")
        before = agent.pid
        os.kill(before, signal.SIGKILL)

        def next_one():
            pid = int(agent.systemctl("show", "callgate", "--property", "MainPID", "--value") or 0)
            return pid if pid not in (0, before) else None
        for _ in range(5):
            before = wait_for(next_one, "the next agent", interval=0.001)
            wait_for(lambda: has_counted_its_start(before) or not os.path.exists(f"/proc/{before}"), "its start", interval=0.001)
            os.kill(before, signal.SIGKILL)
        wait_for(lambda: agent.systemctl("is-active", "callgate") == "failed", "the end")
        self.assertEqual(agent.systemctl("show", "callgate", "--property", "ExecMainStatus", "--value"), "75")
        self.assertIn("none of 5 agents in a row was ready", agent.log())
        agent.systemctl("reset-failed", "callgate")
        agent.systemctl("start", "callgate")
        agent.wait_ready()


if __name__ == "__main__":
    main()
