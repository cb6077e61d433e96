"""Clients that go on calling while the test does something to the agent or the server."""
import contextlib
import threading
import time

from callgate_harness import HttpConnection, McpHttp, wait_for

GONE = (ConnectionError, EOFError)  # a connection that was refused, reset, or closed before its answer


class Caller(threading.Thread):
    """One client. It calls echo with a number and delete_note in turns, each until it is answered.

    keep_alive: on one connection as long as the other side keeps it; else on a new one for each call. A call whose
    connection ended before the answer began is made again, as HTTP clients do when an idle connection turns out closed;
    `again` counts them.
    """

    def __init__(self, server, keep_alive):
        super().__init__(daemon=True)
        self.server, self.keep_alive = server, keep_alive
        self.stopping = threading.Event()
        self.allowed = self.denied = self.executed = self.again = 0
        self.failure = None

    @property
    def calls(self):
        return self.allowed + self.denied + self.executed

    def run(self):
        client, number = None, 0
        try:
            while not self.stopping.is_set():
                tool = "delete_note" if number % 4 == 3 else "echo"
                try:
                    client = client or McpHttp(self.server)
                    answer = client.call(tool, {"text": f"n{number}"}, identifier=number)
                except GONE:
                    self.again += 1
                    client = None
                    time.sleep(0.001)  # not to wait: to leave the server a chance to start
                    continue
                self.check(answer, tool, number)
                number += 1
                if not self.keep_alive:
                    client.close()
                    client = None
        except BaseException as error:  # reported by the test's own thread
            self.failure = error
        finally:
            if client:
                with contextlib.suppress(OSError):
                    client.close()

    def check(self, answer, tool, number):
        text = answer["result"]["content"][0]["text"]
        if answer["id"] != number:
            raise AssertionError(f"the answer to {answer['id']}, not to {number}")
        if tool == "echo":
            if text != f"n{number}":
                raise AssertionError(f"{text}, not n{number}")
            self.allowed += 1
        elif text.startswith("[POLICY DENIED]"):
            self.denied += 1
        elif text == "done":
            self.executed += 1
        else:
            raise AssertionError(text)


class Traffic:
    """Several callers; `advance` waits until each has made so many more calls."""

    def __init__(self, server, *, keep_alive=8, fresh=8):
        self.callers = [Caller(server, True) for _ in range(keep_alive)] + [Caller(server, False) for _ in range(fresh)]

    def __enter__(self):
        for caller in self.callers:
            caller.start()
        return self

    def __exit__(self, *_):
        for caller in self.callers:
            caller.stopping.set()
        for caller in self.callers:
            caller.join(60)

    def check(self):
        for caller in self.callers:
            if caller.failure:
                raise caller.failure
            if not caller.is_alive() and not caller.stopping.is_set():
                raise AssertionError("a client has ended")

    def advance(self, what, calls=20):
        before = [caller.calls for caller in self.callers]

        def advanced():
            self.check()
            return all(caller.calls >= start + calls for caller, start in zip(self.callers, before))
        wait_for(advanced, what)

    def total(self, what):
        return sum(getattr(caller, what) for caller in self.callers)


def raw_post(server, body):
    """One POST on a connection of its own; the response."""
    with HttpConnection(server.host, server.port) as connection:
        return connection.request("POST", server.path, [("Content-Type", "application/json")], body)
