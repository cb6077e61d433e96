"""The servers of the HTTP tests, running on a port of their own.

    server = HttpServer(PYTHON_HTTP)            started, and listening
    server.url                                  http://127.0.0.1:PORT/mcp
    server.stop()
"""
import contextlib
import dataclasses
import os
import random
import signal
import socket
import subprocess
from pathlib import Path

from .base import ANSWER_SECONDS, MCP_SERVER, MODULES, NODE, NODE_DIRECTORY, PYTHON, SERVERS, wait_for
from .processes import descendants, listening

HTTP_SERVER = os.path.join(os.path.dirname(MCP_SERVER), "http_server")


@dataclasses.dataclass(frozen=True)
class HttpSpec:
    """A server, how a policy names it, and three of its tools, each with arguments. In the command and the environment,
    {port} and {host} stand for where it listens; None for a host means that the server takes no such option."""
    name: str
    command: tuple
    match: dict
    allowed: tuple
    denied: tuple
    limited: tuple
    env: tuple = ()
    host: str = "127.0.0.1"
    path: str = "/mcp"
    transport: str = "http"
    modern: bool = False
    sessions: bool = False
    log_option: bool = False

    def with_options(self, *options, **changes):
        return dataclasses.replace(self, command=(*self.command, *options), **changes)


_NOTES = {"denied": ("delete_note", {}), "limited": ("write_note", {})}
_EVERYTHING = {"allowed": ("echo", {"message": "hello"}), "denied": ("get-env", {}), "limited": ("get-sum", {"a": 1, "b": 2}),
               "match": {"package": "@modelcontextprotocol/server-everything"}, "env": (("PORT", "{port}"),), "host": "::"}
_SCRIPT = str(MODULES / "@modelcontextprotocol" / "server-everything" / "dist" / "index.js")

EVERYTHING_HTTP = HttpSpec("everything-http", (NODE, _SCRIPT, "streamableHttp"), sessions=True, **_EVERYTHING)
EVERYTHING_SSE = HttpSpec("everything-sse", (NODE, _SCRIPT, "sse"), path="/sse", transport="sse", **_EVERYTHING)
MODERN_HTTP = HttpSpec("sdk-v2-http", (NODE, str(NODE_DIRECTORY / "modern_server" / "http.mjs")), {"package": "notes-modern"},
                       ("echo", {}), env=(("PORT", "{port}"), ("HOST", "{host}")), modern=True, **_NOTES)
CONFORMANCE_HTTP = HttpSpec("conformance", (NODE, str(NODE_DIRECTORY / "conformance" / "server.mjs")), {"package": "conformance-notes"},
                            ("test_simple_text", {}), ("test_image_content", {}), ("test_audio_content", {}),
                            env=(("PORT", "{port}"),), host="::", sessions=True)
PYTHON_HTTP = HttpSpec("python-http", (PYTHON, str(SERVERS / "python_http" / "server.py"), "--port", "{port}", "--host", "{host}"),
                       {"package": "notes-http-py"}, ("echo", {"text": "hello"}), modern=True, sessions=True, log_option=True, **_NOTES)
PYTHON_HTTP_SSE = PYTHON_HTTP.with_options("--answers", "sse", name="python-http-events")
STARLETTE = HttpSpec("starlette", ("/usr/bin/python3", str(SERVERS / "starlette" / "server.py"), "{port}"),  # Debian's, of the package
                     {"command": "*starlette/server.py*"}, ("echo", {"text": "hello"}), **_NOTES)
CPP_HTTP = HttpSpec("cpp-http", (HTTP_SERVER, "{port}", "--bind", "{host}"), {"command": "*/http_server *"},
                    ("echo", {"text": "hello"}), log_option=True, **_NOTES)
REUSE_PORT = CPP_HTTP.with_options("--processes", "2", name="cpp-reuse-port")
HTTP_SPECS = (EVERYTHING_HTTP, MODERN_HTTP, PYTHON_HTTP, PYTHON_HTTP_SSE, REUSE_PORT)


def free_port(host="127.0.0.1"):
    """A port that nobody has, and that no client is given either: who hurries to connect to one of those before its server
    listens is sooner or later connected to itself."""
    first_of_clients = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.sample(range(10000, first_of_clients), 1000):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe, contextlib.suppress(OSError):
            probe.bind((host, port))
            return port
    raise AssertionError("no port is free")


class HttpServer:
    """`host` is where it listens, `reach` what a client connects to (the loopback for a wildcard). With `log`, every byte
    that the server receives goes into that file. `prefix` runs before the command (ip netns exec …)."""

    def __init__(self, spec, *, port=None, host=None, reach=None, log=None, stderr=None, prefix=(), wait=True):
        self.spec = spec
        self.bound = host or spec.host
        self.host = reach or {"::": "127.0.0.1", "0.0.0.0": "127.0.0.1"}.get(self.bound, self.bound)
        self.port = port or free_port()
        self.log = log
        self._options = ("--log", str(log)) if log else ()
        self._prefix, self._stderr = prefix, stderr
        self.process = None
        self.start(wait)

    def start(self, wait=True):
        def fill(word):
            return str(word).replace("{port}", str(self.port)).replace("{host}", self.bound)
        environment = {**os.environ, **{name: fill(value) for name, value in self.spec.env}}
        self.process = subprocess.Popen([*self._prefix, *map(fill, self.spec.command), *self._options], env=environment,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._stderr)
        if wait:
            self.wait_listening()
        return self

    def wait_listening(self):
        wait_for(lambda: self.process.poll() is not None or self.is_listening(), f"{self.spec.name} listens")
        if self.process.poll() is not None:
            raise AssertionError(f"{self.spec.name} ended with {self.process.returncode}")

    def is_listening(self):
        return self.port in listening(self.pid)

    @property
    def pid(self):
        return self.process.pid

    @property
    def path(self):
        return self.spec.path

    @property
    def authority(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self):
        return f"http://{self.authority}{self.path}"

    def received(self):
        """Every byte that the server has read; only with `log`."""
        with open(self.log, "rb") as file:
            return file.read()

    def stop(self, number=signal.SIGTERM):
        """Ends it, and what it started; returns its exit code."""
        below = descendants(self.pid)
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=ANSWER_SECONDS)
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return code

    def kill(self):
        self.stop(signal.SIGKILL)
