"""Clients that go on calling while the test does something to the agent or the server."""
import collections
import contextlib
import re
import threading
import time

from callgate_harness import HttpConnection, McpHttp, wait_for

GONE = (ConnectionError, EOFError)  # a connection that was refused, reset, or closed before its answer


class Caller(threading.Thread):
    """One client. It calls echo and delete_note, each call with a mark of its own, each until it is answered.

    keep_alive: on one connection as long as the other side keeps it; else on a new one for each call. A call whose
    connection ended before the answer began is made again, as HTTP clients do when an idle connection turns out closed;
    `again` counts them.
    """

    def __init__(self, server, name, keep_alive):
        super().__init__(daemon=True)
        self.server, self.keep_alive = server, keep_alive
        self.mark = name
        self.stopping = threading.Event()
        self.outcomes, self.tries = [], []  # of each call, in order
        self.waits = []  # seconds until each was answered
        self.again = 0
        self.failure = None

    @property
    def calls(self):
        return len(self.outcomes)

    def count(self, outcome):
        return self.outcomes.count(outcome)

    def run(self):
        client = None
        try:
            while not self.stopping.is_set():
                number = len(self.outcomes)
                if len(self.tries) == number:
                    self.tries.append(0)
                tool = "delete_note" if number % 4 == 3 else "echo"
                try:
                    client = client or McpHttp(self.server)
                    self.tries[number] += 1
                    asked = time.monotonic()
                    answer = client.call(tool, {"text": f"{self.mark}-{number}."}, identifier=number)
                except GONE:
                    self.again += 1
                    if client:
                        client.close()
                        client = None
                    time.sleep(0.001)  # not to wait: to leave the server a chance to start
                    continue
                self.waits.append(time.monotonic() - asked)
                self.outcomes.append(self.outcome(answer, tool, number))
                if not self.keep_alive:
                    client.close()
                    client = None
        except BaseException as error:  # reported by the test's own thread
            self.failure = error
        finally:
            if client:
                with contextlib.suppress(OSError):
                    client.close()

    def outcome(self, answer, tool, number):
        text = answer["result"]["content"][0]["text"]
        if answer["id"] != number:
            raise AssertionError(f"the answer to {answer['id']}, not to {number}")
        if tool == "echo" and text == f"{self.mark}-{number}.":
            return "allowed"
        if tool == "delete_note" and text == "done":
            return "executed"
        if tool == "delete_note" and text.startswith("[POLICY DENIED]"):
            return "denied"
        raise AssertionError(f"{tool}: {text}")


class Traffic:
    """Several callers; `advance` waits until each has made so many more calls."""

    def __init__(self, server, *, keep_alive=8, fresh=8):
        self.server = server
        self.callers = ([Caller(server, f"keep{number}", True) for number in range(keep_alive)] +
                        [Caller(server, f"fresh{number}", False) for number in range(fresh)])

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

    def total(self, outcome):
        return sum(caller.count(outcome) for caller in self.callers)

    def check_received(self):
        """Against the server's log: every call that it answered is there, none oftener than it was made, and of the denied
        ones none but those whose first try ended without an answer."""
        received = collections.Counter(re.findall(rb'"text": ?"((?:keep|fresh)\d+-\d+)\."', self.server.received()))
        for caller in self.callers:
            for number, (outcome, tries) in enumerate(zip(caller.outcomes, caller.tries)):
                name = f"{caller.mark}-{number}"
                seen, least = received[name.encode()], 0 if outcome == "denied" else 1
                most = tries - 1 if outcome == "denied" else tries
                if not least <= seen <= most:
                    raise AssertionError(f"{name}, {outcome} after {tries} tries, reached the server {seen} times")


def raw_post(server, body):
    """One POST on a connection of its own; the response."""
    with HttpConnection(server.host, server.port) as connection:
        return connection.request("POST", server.path, [("Content-Type", "application/json")], body)
