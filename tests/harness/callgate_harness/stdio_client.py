"""A client over pipes or socket pairs that shows every byte."""
import collections
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import time

from .base import ANSWER_SECONDS, wait_for
from .processes import descendants, unread


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
