"""What the agent learns of a restart from systemd, and what systemd keeps: a systemd of its own, first process of its own
namespaces, with one service (restart_probe.cpp). The agent itself, under a systemd that is the host's, is in tests/host."""
import contextlib
import os
import signal
import subprocess
from pathlib import Path

from governed import BINARY, EndToEnd, main, wait_for

SYSTEMD = Path("/lib/systemd/systemd")
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


def unified_hierarchy():
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    return None


class TestUnderSystemd(EndToEnd):
    def setUp(self):
        if not SYSTEMD.exists() or not unified_hierarchy():
            self.fail("no systemd is installed, or cgroup v2 is not mounted")
        self.place = self.directory()
        for name, descriptors in (("keeping", 4), ("plain", 0)):
            text = SERVICE.format(probe=PROBE, log=self.place / f"{name}.log", descriptors=descriptors)
            (self.place / f"{name}.service").write_text(text)
        (self.place / "only.target").write_text("[Unit]\nWants=keeping.service plain.service\n")
        own = Path("/proc/self/cgroup").read_text().rpartition("0::")[2].strip().lstrip("/")
        group = unified_hierarchy() / own / f"callgate-test-{os.getpid()}"
        group.mkdir()
        self.addCleanup(self.remove, group)
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

    def remove(self, group):
        def is_gone():
            for directory, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(directory)
            return not group.exists()
        wait_for(is_gone, "the cgroup being empty")

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


if __name__ == "__main__":
    main()
