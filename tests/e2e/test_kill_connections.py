"""kill -9 of the agent at each step at which it takes a connection of an HTTP server's: the server keeps nothing of it."""
import contextlib
import os
import signal
import socket
import subprocess
import types

from governed_http import *  # noqa: F403
from governed_http import (FAULTS, LONG, PYTHON, PYTHON_HTTP, SERVERS, HttpConnection, HttpEndToEnd, main, make_request, policy,
                           wait_for)

# Of a socket pair, and of what puts it in the connection's place and closes it.
CALLS = tuple(f"{what} {number}".removesuffix(" 1") for number in range(1, 3) for what in ("calls set", "calls begun", "calls made"))
STEPS = {"tcp": ("connection to be replaced", *CALLS, "connection taken", "mask set"),
         "unix": ("replacements made", *CALLS, "ends closed", "mask set")}
DENIED_CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete_note","arguments":{}}}'
FIELDS = [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")]


class TestKillAtAConnection(HttpEndToEnd):
    def setUp(self):
        self.fault = self.directory() / "step"
        os.environ["CALLGATE_FAULT_FILE"] = str(self.fault)
        self.addCleanup(os.environ.pop, "CALLGATE_FAULT_FILE")

    def faulty(self, match):
        return self.agent({"example": policy(match, denied="delete_note")}, keeper=True, binary=FAULTS)

    def open_in(self, server):
        return len(os.listdir(f"/proc/{server.pid}/fd"))

    def end_at(self, step, agent, server, connection, others):
        """A request on the connection, at which the agent is killed. Then it is over, and `others` are what the server has."""
        self.fault.write_text(step)
        before = agent.pid
        connection.send(make_request("POST", "/mcp", FIELDS, DENIED_CALL))
        agent.wait_ready()
        self.assertNotEqual(agent.pid, before)
        self.assertFalse(self.fault.exists(), "nobody came by this step")
        connection.close()
        wait_for(lambda: self.open_in(server) == others, f"{others} descriptors of the server", seconds=5)

    def test_connections_from_before(self):
        """One for each step: what the agent finds, the next one finds, too."""
        for spec in (CPP_HTTP, PYTHON_HTTP):
            with self.case(server=spec.name):
                server = self.server(spec)
                alone = self.open_in(server)
                steps = STEPS["tcp"] if LONG else STEPS["tcp"][::3]
                clients = [self.mcp(server) for _ in steps]
                for client in clients:
                    self.assert_result(client.call("delete_note"))
                agent = self.faulty(spec.match)
                for number, (step, client) in enumerate(zip(steps, clients), 1):
                    with self.subTest(step=step):
                        self.end_at(step, agent, server, client.connection, alone + len(steps) - number)
                self.assert_denied(self.mcp(server).call("delete_note"))

    def test_af_unix(self):
        path = str(self.directory() / "socket")
        process = subprocess.Popen([PYTHON, str(SERVERS / "python_http" / "server.py"), "--unix", path], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=self._stderr)
        self.addCleanup(process.wait)
        self.addCleanup(process.send_signal, signal.SIGKILL)
        server = types.SimpleNamespace(host=path, port=0, path="/mcp", pid=process.pid)

        def listens():
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(path)
                return True
        wait_for(listens, "the server listens")
        agent = self.faulty({"command": "*--unix*"})
        alone = self.open_in(server)
        for step in STEPS["unix"] if LONG else STEPS["unix"][1::4]:
            with self.subTest(step=step):
                self.end_at(step, agent, server, HttpConnection(path), alone)
        self.assert_denied(self.mcp(server, initialize=False).call("delete_note"))


if __name__ == "__main__":
    main()
