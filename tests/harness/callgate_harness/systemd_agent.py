"""The agent as a service of systemd."""
import contextlib
import json
import os
import shlex
import subprocess
import time
from pathlib import Path

from .agent import Agent
from .base import ANSWER_SECONDS, wait_for

UNIT = Path(__file__).resolve().parents[3] / "packaging" / "systemd" / "callgate.service"
# Of the unit as it is shipped; the others confine the agent to places where no test is.
SETTINGS = ("Type", "NotifyAccess", "Restart", "RestartSec", "RestartPreventExitStatus", "TimeoutStopSec", "FileDescriptorStoreMax",
            "WatchdogSec", "LimitNOFILE", "LimitMEMLOCK", "UMask")
# /run and the cgroups are its own. A manager of a user's kind need not be the first process of a namespace, and is otherwise the
# same program; the agent finds it where the host's would be.
INIT = """set -e
mount --make-rprivate /
mount -t tmpfs none /run
mkdir -p /run/user/systemd/user /run/systemd/system
cp "$0"/callgate.service /run/user/systemd/user/
mount -t cgroup2 none /sys/fs/cgroup
ln -s /run/user/systemd/private /run/systemd/private
exec env -i PATH="$PATH" XDG_RUNTIME_DIR=/run/user /lib/systemd/systemd --user --unit=callgate.service --log-level=warning --log-target=console
"""


def unified_hierarchy():
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    raise AssertionError("cgroup v2 is not mounted")


def own_group():
    return Path("/proc/self/cgroup").read_text().rpartition("0::")[2].strip().lstrip("/")


@contextlib.contextmanager
def new_group(name):
    """A cgroup of that name below this process's own; at the end, once it and those in it are empty, they are removed."""
    group = unified_hierarchy() / own_group() / name
    group.mkdir()

    def is_gone():
        for directory, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(directory)
        return not group.exists()
    try:
        yield group
    finally:
        wait_for(is_gone, "the cgroup being empty")


class SystemdAgent(Agent):
    """As an Agent with a keeper, but systemd starts it, keeps its descriptors, and starts the next one."""

    def start(self):
        settings = [line for line in UNIT.read_text().splitlines() if line.partition("=")[0] in SETTINGS]
        (self.directory / "callgate.service").write_text("\n".join(
            ["[Unit]", "DefaultDependencies=no", "StartLimitIntervalSec=0", "[Service]", *settings,
             f"ExecStart={shlex.join(self.words())}", f"StandardError=append:{self.log_path}", f"StandardOutput=append:{self.log_path}", ""]))
        self.stack = contextlib.ExitStack()
        group = self.stack.enter_context(new_group(f"callgate-test-{os.getpid()}-{self.directory.name}"))
        with open(self.directory / "systemd.log", "ab") as log:
            self.process = subprocess.Popen(["unshare", "--mount", "--cgroup", "sh", "-c", INIT, str(self.directory)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, preexec_fn=lambda: (group / "cgroup.procs").write_text(str(os.getpid())))
        return self.wait_ready()

    def wait_ready(self):
        def is_ready():
            if not self.running:
                raise AssertionError("systemd has ended:\n" + (self.directory / "systemd.log").read_text())
            pid = int(self.systemctl("show", "callgate", "--property", "MainPID", "--value") or 0)
            return pid if pid not in (0, self.pid) and self.systemctl("is-active", "callgate") == "active" else None
        self.pid = wait_for(is_ready, "the agent", seconds=ANSWER_SECONDS, interval=0.02)
        return self

    def systemctl(self, *words):
        done = subprocess.run(["nsenter", "-t", str(self.process.pid), "-m", "env", "XDG_RUNTIME_DIR=/run/user", "systemctl", "--user", *words],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        return done.stdout.strip()

    def restart(self):
        begun, before = time.monotonic(), self.pid
        self.systemctl("restart", "callgate")
        took = time.monotonic() - begun
        self.wait_ready()
        if self.pid == before:
            raise AssertionError("the agent is the one of before:\n" + self.log())
        return {"sessions": json.loads(self.command("status", "--json").stdout)["sessions"]["total"], "milliseconds": round(took * 1000), "pid": self.pid}

    def stop(self):
        """What `systemctl stop` comes to: 0 where it ended well."""
        self.systemctl("stop", "callgate")
        result = self.systemctl("show", "callgate", "--property", "Result", "--value")
        code = int(self.systemctl("show", "callgate", "--property", "ExecMainStatus", "--value"))
        self.process.terminate()
        self.process.wait(timeout=ANSWER_SECONDS)
        self.stack.close()
        return code if result == "success" else code or 1
