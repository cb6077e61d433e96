"""Server-sent events: taken apart, and read from a connection as they come."""
import dataclasses
import json
import time

from .base import ANSWER_SECONDS


@dataclasses.dataclass
class Event:
    name: str
    identifier: str
    data: str

    def json(self):
        return json.loads(self.data)


def parse_event(block):
    """One event from its lines; None for a block of comments."""
    event = Event("message", "", None)
    for line in block.decode().split("\n"):
        key, _, value = line.rstrip("\r").partition(":")
        value = value.removeprefix(" ")
        if key == "event":
            event.name = value
        elif key == "id":
            event.identifier = value
        elif key == "data":
            event.data = value if event.data is None else event.data + "\n" + value
    return event if event.data is not None else None


def events_of(body):
    """Every event of a finished stream."""
    return [event for block in body.replace(b"\r\n", b"\n").split(b"\n\n") if block and (event := parse_event(block))]


class EventStream:
    """A response of events, read as they come. `cut` says that the connection broke before the stream was over; the rest
    of an event is then nobody's, as for every client."""

    def __init__(self, connection, head):
        self.connection, self.head = connection, head
        self._chunked = (head.field("Transfer-Encoding") or "").lower() == "chunked"
        self._text = b""
        self.ended = self.cut = False

    def next(self, seconds=ANSWER_SECONDS):
        """The next event; None at the end of the stream."""
        deadline = time.monotonic() + seconds
        while True:
            while b"\n\n" not in self._text:
                if self.ended or not self._more(deadline):
                    if self._text and not self.cut:
                        raise AssertionError(f"the stream ends within an event: {self._text!r}")
                    return None
            block, self._text = self._text.split(b"\n\n", 1)
            if event := parse_event(block):
                return event

    def _more(self, deadline):
        self.connection.socket.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            if self._chunked:
                data = self.connection.read_chunk()
            elif self.connection.buffer or self.connection._more():
                data, self.connection.buffer = self.connection.buffer, b""
            else:
                data = b""
        except EOFError:
            data, self.cut = b"", True
        finally:
            self.connection.socket.settimeout(ANSWER_SECONDS)
        self.ended = not data
        self._text += data.replace(b"\r\n", b"\n")
        return bool(data)

    def answer(self, identifier, seconds=ANSWER_SECONDS):
        """The message that answers `identifier`; others are passed over."""
        deadline = time.monotonic() + seconds
        while (event := self.next(max(0.01, deadline - time.monotonic()))) is not None:
            message = event.json() if event.data else {}
            if message.get("id") == identifier and "method" not in message:
                return message
        raise AssertionError(f"the stream ended before it answered {identifier!r}")

    def close(self):
        self.connection.close()
