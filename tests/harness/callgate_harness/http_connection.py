"""HTTP/1.1 over a plain socket that shows every byte.

    connection = HttpConnection("127.0.0.1", 3000)
    connection.send(b"GET /health HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    response = connection.read_response()      response.status == 200, response.body == b"ok\\n"

Responses are read strictly: what is not HTTP, or is more than was asked for, fails the test.
"""
import dataclasses
import json
import socket

from .base import ANSWER_SECONDS
from .events import events_of


@dataclasses.dataclass
class Response:
    status: int
    version: str
    fields: list          # [(name, value)] as they came
    body: bytes = b""
    raw_head: bytes = b""

    def field(self, name):
        """The value of a field that may be there once."""
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        if len(values) > 1:
            raise AssertionError(f"{name} is there {len(values)} times: {self.raw_head}")
        return values[0] if values else None

    def json(self):
        """The message of a JSON body, or the only one of a body of events."""
        if (self.field("Content-Type") or "").startswith("text/event-stream"):
            messages = [event.json() for event in events_of(self.body) if event.data]
            if len(messages) != 1:
                raise AssertionError(f"not one message: {self.body}")
            return messages[0]
        return json.loads(self.body)

    def comparable(self):
        """What must not differ between two runs: everything but the date and random names."""
        changing = {"date", "mcp-session-id"}
        return self.status, [(n, "" if n.lower() in changing else v) for n, v in self.fields], self.body


class HttpConnection:
    """A host with a slash in it is the file that an AF_UNIX socket is bound to."""

    def __init__(self, host, port=0, *, seconds=ANSWER_SECONDS, source=None):
        if "/" in host:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(seconds)
            self.socket.connect(host)
        else:
            self.socket = socket.create_connection((host, port), seconds, source_address=source)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.at_end = False

    @property
    def local_port(self):
        return self.socket.getsockname()[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def end(self):
        """No more will be sent; what comes is still read."""
        self.socket.shutdown(socket.SHUT_WR)

    # -- bytes
    def _more(self):
        try:
            chunk = self.socket.recv(1 << 18)
        except ConnectionResetError:
            chunk = b""
        if not chunk:
            self.at_end = True
        self.buffer += chunk
        return bool(chunk)

    def _until(self, mark):
        while mark not in self.buffer:
            if not self._more():
                raise EOFError(f"the connection ended after {self.buffer[:300]!r}")
        data, self.buffer = self.buffer.split(mark, 1)
        return data + mark

    def _exactly(self, count):
        parts, have = [self.buffer], len(self.buffer)
        while have < count:
            self.buffer = b""
            if not self._more():
                raise EOFError(f"the connection ended {count - have} bytes too early")
            parts.append(self.buffer)
            have += len(self.buffer)
        data = b"".join(parts)
        data, self.buffer = data[:count], data[count:]
        return data

    def read_rest(self):
        """Everything up to the end of the connection."""
        parts = [self.buffer]
        self.buffer = b""
        while self._more():
            parts.append(self.buffer)
            self.buffer = b""
        return b"".join(parts)

    def wait_closed(self):
        """The other side must close, having sent nothing more."""
        rest = self.read_rest()
        if rest:
            raise AssertionError(f"not asked for: {rest[:300]!r}")

    # -- responses
    def read_head(self):
        raw = self._until(b"\r\n\r\n")
        first, *lines = raw[:-4].decode("latin-1").split("\r\n")
        version, status, _ = (first + " ").split(" ", 2)
        if not version.startswith("HTTP/1.") or not status.isdigit() or any("\n" in line for line in lines):
            raise AssertionError(f"not HTTP: {raw!r}")
        fields = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        return Response(int(status), version, fields, raw_head=raw)

    def read_chunk(self):
        """The next chunk's data; b"" for the last one, whose end is read too."""
        size = int(self._until(b"\r\n")[:-2], 16)
        data = self._exactly(size)
        if self._exactly(2) != b"\r\n":
            raise AssertionError("a chunk does not end where it says")
        return data

    def read_body(self, head, method="GET"):
        if method == "HEAD" or head.status in (204, 304) or head.status < 200:
            return b""
        if (head.field("Transfer-Encoding") or "").lower() == "chunked":
            if head.field("Content-Length") is not None:
                raise AssertionError(f"two lengths: {head.raw_head!r}")
            return b"".join(iter(self.read_chunk, b""))
        if (length := head.field("Content-Length")) is not None:
            return self._exactly(int(length))
        return self.read_rest()

    def read_response(self, method="GET"):
        response = self.read_head()
        response.body = self.read_body(response, method)
        return response

    def request(self, method, target, fields=(), body=None):
        """One exchange; the length of a body is added."""
        self.send(make_request(method, target, fields, body, host="test"))
        return self.read_response(method)


def make_request(method, target, fields=(), body=None, host="test"):
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in fields)]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")
