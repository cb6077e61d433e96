"""The agent under test."""
import json
import mmap
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from .base import ANSWER_SECONDS, BINARY, SLOWNESS, wait_for
from .processes import bpf_ids


class Agent:
    """`callgate run` over one process tree, with its own configuration, audit file and control socket."""

    def __init__(self, policies, *, config=None, grants=None, scope=None, arguments=(), audit=None, preexec=None, keeper=False, binary=BINARY,
                 left=None, environment=None):
        self.directory = Path(tempfile.mkdtemp(prefix="callgate-e2e-"))
        self.directory.chmod(0o755)
        self.config_directory = self.directory / "etc"
        (self.config_directory / "policies.d").mkdir(parents=True)
        settings = {"state_directory": str(self.directory / "state"), **(config or {})}
        (self.config_directory / "callgate.json").write_text(json.dumps(settings))
        for name, document in policies.items():
            (self.config_directory / "policies.d" / f"{name}.json").write_text(json.dumps(document, indent=2))
        if grants is not None:
            (self.config_directory / "grants.json").write_text(json.dumps(grants, indent=2))
        for path in self.config_directory.rglob("*.json"):
            path.chmod(0o644)  # files that others can write are refused
        self.audit_path = Path(audit) if audit else self.directory / "audit.jsonl"
        self.control_path = self.directory / "control.sock"
        self.log_path = self.directory / "agent.log"
        self.scope = scope or os.getpid()
        self.arguments = arguments
        self.preexec = preexec
        self.keeper = keeper  # run by `callgate keep`: self.process is the keeper
        self.binary = Path(binary)
        self.environment = {**os.environ, **(environment or {})}
        self.pid = None
        self.left = left  # a descriptor that the agent finds in its store when it starts
        self.process = None
        self.ready_line = None
        self.bpf = set()
        self.last_status = None

    def words(self):
        return [str(self.binary), *(("keep", "--") if self.keeper else ()), "run", "--config", str(self.config_directory), "--scope-tree",
                str(self.scope), "--audit", str(self.audit_path), "--control", str(self.control_path), *self.arguments]

    def start(self):
        if not BINARY.exists():
            raise AssertionError(f"{BINARY} is not there: build it first (packaging/setup)")
        with open(self.log_path, "ab") as log:
            found = ("bash", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=callgate exec "$@" 3<&$0', str(self.left))
            self.process = subprocess.Popen(
                [*(found if self.left is not None else ()), *self.words()],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, preexec_fn=self.preexec, env=self.environment,
                pass_fds=[] if self.left is None else [self.left])
        return self.wait_ready()

    def wait_ready(self, seconds=ANSWER_SECONDS):
        """For the line that each agent says once."""
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            raise AssertionError("the agent said nothing:\n" + self.log())
        self.ready_line = os.read(self.process.stdout.fileno(), 1 << 16).decode()
        if not self.ready_line.startswith("callgate ready"):
            raise AssertionError(f"the agent did not become ready: {self.ready_line!r}\n{self.log()}")
        self.pid = int(re.search(r"pid=(\d+)", self.ready_line)[1])
        self.bpf |= bpf_ids(self.pid)
        return self

    def restart(self):
        """A planned one, of an agent that a keeper runs; what `callgate restart` says of it."""
        said = json.loads(self.command("restart", "--json").stdout)
        self.wait_ready()
        if said["pid"] != self.pid:
            raise AssertionError(f"process {self.pid} is ready, and not {said['pid']}")
        return said

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def stop(self):
        """SIGTERM; returns the exit code."""
        self.bpf |= bpf_ids(self.pid)
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=ANSWER_SECONDS)
        self.process.stdout.close()
        return code

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def keep(self, directory):
        shutil.move(self.directory, Path(directory) / self.directory.name)
        print(f"---- its directory: {Path(directory) / self.directory.name} ----", file=sys.stderr)

    def command(self, *words, check=True):
        """Runs `callgate WORDS --control SOCKET`."""
        done = subprocess.run([str(self.binary), *words, "--control", str(self.control_path)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=ANSWER_SECONDS)
        if check and done.returncode != 0:
            raise AssertionError(f"callgate {' '.join(words)}: exit code {done.returncode}\n{done.stderr}{self.log()}")
        return done

    def status(self):
        return json.loads(self.command("status", "--json").stdout)

    def sessions(self):
        listing = json.loads(self.command("sessions", "--json").stdout)
        return listing["sessions"] if isinstance(listing, dict) else listing

    def records(self):
        """Each of the audit file, one after the other."""
        end = 0
        with open(self.audit_path, "rb") as lines:
            for line in lines:
                end += len(line)
                if not line.endswith(b"\n"):
                    return  # it is being written
                try:
                    record = json.loads(line)
                except ValueError as error:
                    # The kernel ends a write of a process that is killed between two pages. What is known of a message the next
                    # agent writes to its end; the line of an event, which went with the agent, is ended where it is.
                    if (end - 1) % mmap.PAGESIZE or b'"type":"message"' in line:
                        raise AssertionError(f"{error}: {line}") from error
                    continue
                yield record

    def audit(self, type=None, **fields):
        """The records so far, or those of one type whose fields have these values."""
        if not self.audit_path.exists():
            return []
        records = self.records()
        return [r for r in records if (type is None or r["type"] == type) and all(r.get(k) == v for k, v in fields.items())]

    def wait_audit(self, type=None, count=1, **fields):
        def enough():
            records = self.audit(type, **fields)
            return records if len(records) >= count else None
        return wait_for(enough, f"{count} audit record(s) {type} {fields}", interval=0.02)

    def resident_bytes(self):
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024 // SLOWNESS
        raise AssertionError("no VmRSS")


def assert_conserved(frames, what):
    """Client's frames in = forwarded + denied + refused + held (blank lines are counted apart); server's lines likewise."""
    accounted = sum(frames[key] for key in ("forwarded", "denied", "refused", "held"))
    if frames["in"] != accounted or frames["server_in"] != frames["server_forwarded"] + frames["server_denied"]:
        raise AssertionError(f"{what}: frames are missing: {frames}")
