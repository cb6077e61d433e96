"""Real clients in JavaScript: the TypeScript SDKs and the Inspector."""
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

from .base import ANSWER_SECONDS, INSPECTOR, NODE, NODE_DIRECTORY
from .processes import descendants


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


class _ScriptedClient:
    """A program of node/ that runs a script of steps and says what came of each."""

    def __init__(self, program, spec, stderr):
        self.process = subprocess.Popen([NODE, str(NODE_DIRECTORY / program), json.dumps(spec)],
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


class SdkClient(_ScriptedClient):
    """The real TypeScript SDK over stdio (v1, or v2 in one of its modes); see node/client.mjs."""

    def __init__(self, command, steps, *, sdk="v1", mode="legacy", env=None, answers=None, stderr=None):
        super().__init__("client.mjs", {"sdk": sdk, "mode": mode, "command": command[0], "args": list(command[1:]),
                                        "steps": steps, "env": env or {}, "answers": answers or {}}, stderr)


class SdkHttpClient(_ScriptedClient):
    """The same over HTTP, or over the older HTTP+SSE; see node/http_client.mjs."""

    def __init__(self, url, steps, *, sdk="v1", mode="legacy", transport="http", answers=None, notifications=False, stderr=None):
        super().__init__("http_client.mjs", {"sdk": sdk, "mode": mode, "transport": transport, "url": url, "steps": steps,
                                             "answers": answers or {}, "notifications": notifications}, stderr)


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
