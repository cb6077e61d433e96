"""Sockets that come to a server in other ways than from its own listen(2) under the agent's eyes."""
import signal
import subprocess
import threading
from pathlib import Path

from governed_http import *  # noqa: F403
from governed_http import (BINARY, FAULTS, PYTHON, SERVERS, HttpConnection, HttpEndToEnd, contextlib, descendants, free_port, json, main, os, policy, socket, time,
                           wait_for)

SERVER = str(SERVERS / "handed" / "server.py")
# Makes the listener and becomes the server, itself or as its child. The policies' patterns fit the server alone.
ACTIVATOR = """
import os, socket, sys
where, fork, *server = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX if "/" in where else socket.AF_INET)
listener.bind(where if "/" in where else ("127.0.0.1", int(where)))
listener.listen(64)
if fork == "fork" and os.fork():
    os.wait()
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.execv(sys.executable, [sys.executable, *server, "listener", "3"])
"""
# Runs the server once for each connection, as its standard input and output.
INETD = """
import os, socket, sys
where, script, log, *options = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX if "/" in where else socket.AF_INET)
listener.bind(where if "/" in where else ("127.0.0.1", int(where)))
listener.listen(64)
while True:
    connection = listener.accept()[0]
    if os.fork() == 0:
        os.dup2(connection.fileno(), 0)
        os.dup2(connection.fileno(), 1)
        os.execv(sys.executable, [sys.executable, script, log, "connection", "0", *options])
    connection.close()
"""

# Takes what it reads through a pipe, and keeps its connections.
SPLICING = """
import os, socketserver, sys
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        read, write = os.pipe()
        while moved := os.splice(self.request.fileno(), write, 65536):
            os.read(read, moved)
            self.request.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\ndone")
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()  # reads_unseen
"""

READING = """
import os, socket, socketserver, sys
where, way = sys.argv[1:]
def readv(end):
    parts = [bytearray(1), bytearray(65535)]
    return b"".join(parts)[:os.readv(end.fileno(), parts)]
read = {"read": lambda end: os.read(end.fileno(), 65536), "readv": readv, "recvfrom": lambda end: end.recvfrom(65536)[0],
        "recvmsg": lambda end: end.recvmsg(65536)[0]}[way]
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        while read(self.request):
            self.request.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\ndone")
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
    address_family = socket.AF_UNIX if "/" in where else socket.AF_INET
Server(where if "/" in where else ("127.0.0.1", int(where)), Handler).serve_forever()  # reads_in_one_way
"""

# Accepts when it is told to, and says back what it reads.
ECHOING = """
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))  # echoes_later
sys.stdin.readline()
while True:
    with listener.accept()[0] as connection:
        while data := connection.recv(65536):
            connection.sendall(data)
"""


def call(tool, identifier=1):
    return {"jsonrpc": "2.0", "id": identifier, "method": "tools/call", "params": {"name": tool, "arguments": {}}}


class Handed(HttpEndToEnd):
    def start(self, *command, **options):
        self.log = self.directory() / f"executed-{time.monotonic_ns()}"
        self.log.touch()
        command = [str(self.log) if word == "LOG" else str(word) for word in command]
        process = subprocess.Popen([PYTHON, "-B", *command], **{"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **options},
                                   stderr=self._stderr)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        below = descendants(process.pid)
        process.kill()
        process.wait()
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def where(self, kind):
        return str(free_port()) if kind == "tcp" else str(self.directory() / f"socket-{time.monotonic_ns()}")

    def reach(self, where):
        host, port = (where, 0) if "/" in str(where) else ("127.0.0.1", int(where))

        def connected():
            with contextlib.suppress(OSError):
                return HttpConnection(host, port)
        connection = wait_for(connected, "the server can be reached")
        self.addCleanup(connection.close)
        return connection

    def governing(self, match, **more):
        return self.agent({"example": policy({"command": match}, denied="delete_note", **more)})

    def ask(self, connection, tool, identifier=1):
        body = json.dumps(call(tool, identifier)).encode()
        return connection.request("POST", "/mcp", [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")], body)

    def executed(self):
        return [line.split()[0] for line in self.log.read_text().splitlines()]

    def assert_governed(self, connection, denied=None):
        """Its next call is denied where it should be, and one that is allowed is executed; returns by whom."""
        self.assert_denial(self.ask(connection, "delete_note", denied or 1), denied or 1)
        text = self.ask(connection, "echo", 2).json()["result"]["content"][0]["text"]
        self.assertNotIn("delete_note", self.executed())
        return int(text.removeprefix("done by "))


class TestListeners(Handed):
    def test_socket_activation(self):
        for kind in ("tcp", "unix"):
            for fork in ("fork", "itself"):
                with self.case(kind=kind, fork=fork):
                    agent = self.governing("* listener 3*")
                    where = self.where(kind)
                    self.start("-c", ACTIVATOR, where, fork, SERVER, "LOG")
                    for _ in range(3):
                        self.assert_governed(self.reach(where))
                    self.assertEqual(len(agent.status()["listeners"]), 1)
                    self.stop_agent(agent)

    def test_passed_over_a_socket(self):
        for kind in ("tcp", "unix"):
            with self.case(kind=kind):
                agent = self.governing("* receive *")
                where = self.where(kind)
                listener = socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET)
                self.addCleanup(listener.close)
                listener.bind(where if kind == "unix" else ("127.0.0.1", int(where)))
                listener.listen(9)
                ours, theirs = socket.socketpair()
                with ours, theirs:
                    self.start(SERVER, "LOG", "receive", theirs.fileno(), pass_fds=[theirs.fileno()])
                    socket.send_fds(ours, [b"x"], [listener.fileno()])
                for _ in range(3):
                    self.assert_governed(self.reach(where))
                self.stop_agent(agent)

    def test_without_bind(self):
        """Nobody can know the port before the call is over; then every connection is governed."""
        agent = self.governing("* unbound *")
        server = self.start(SERVER, "LOG", "unbound", 60, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.stdin.close)
        for identifier in range(60):
            self.assert_denial(self.ask(self.reach(int(server.stdout.readline())), "delete_note", identifier), identifier)
        self.assertEqual(self.executed(), [])
        self.assertEqual(agent.status()["sessions"]["blind"], 0)

    def test_while_the_agent_waits_for_another_process(self):
        """Longer than a thread is held; the process is in vfork(2), where nothing stops it, because its child waits to open a file."""
        fifo = self.where("unix")
        os.mkfifo(fifo)
        script = ("import os, sys\n"
                  "os.posix_spawn('/bin/true', ['true'], {}, file_actions=[(os.POSIX_SPAWN_OPEN, 5, sys.argv[1], os.O_RDONLY, 0)])\n"
                  "sys.stdin.read()  # occupies\n")
        busy = self.start("-c", script, fifo, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(busy.stdin.close)
        self.addCleanup(busy.stdout.close)
        wait_for(lambda: descendants(busy.pid), "it waits for its child")
        rules = {"busy": policy({"command": "*# occupies*"}), "example": policy({"command": "* unbound *"}, denied="delete_note")}
        starting = threading.Thread(target=lambda: self.agent(rules))
        starting.start()
        self.addCleanup(starting.join)
        wait_for(lambda: "TracerPid:\t0" not in Path(f"/proc/{busy.pid}/status").read_text(), "the agent waits for it")
        server = self.start(SERVER, "LOG", "unbound", 1, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.stdin.close)
        self.assert_denial(self.ask(self.reach(int(server.stdout.readline())), "delete_note"), 1)
        self.assertEqual(self.executed(), [])
        starting.join()
        status = self._agents[-1].status()
        self.assertEqual((status["kernel"]["listen_expired"], status["http"]["connections_adopted"]), (0, 0))
        with open(fifo, "w"):
            pass  # its child goes on

    def test_those_on_af_unix_are_forgotten(self):
        """More of them than are kept in any table; neither descriptors nor entries stay."""
        agent = self.governing("*listen_and_close*")
        before = len(os.listdir(f"/proc/{agent.pid}/fd"))
        script = ("import os, socket, sys\n"
                  "for number in range(1500):\n"
                  "    path = sys.argv[1] + str(number)\n"
                  "    with socket.socket(socket.AF_UNIX) as listener: listener.bind(path); listener.listen(5)\n"
                  "    os.unlink(path)\n"
                  "sys.stdin.read()  # listen_and_close\n")
        process = self.start("-c", script, self.where("unix"), stdin=subprocess.PIPE)
        self.addCleanup(process.stdin.close)
        wait_for(lambda: len(agent.audit("listener_start")) == 1500, "all of them were governed", seconds=30, interval=0.1)
        wait_for(lambda: not agent.status()["listeners"], "they are forgotten", seconds=15, interval=0.2)
        self.assertLess(len(os.listdir(f"/proc/{agent.pid}/fd")), before + 20)
        self.assertEqual(agent.status()["sessions"]["blind"], 0)

    def test_many_first_requests_at_once(self):
        """More readers than processors: each of them waits, or does not get back to its program."""
        agent = self.governing("* listener 3*")
        where = self.where("unix")
        self.start("-c", ACTIVATOR, where, "itself", SERVER, "LOG")
        for _ in range(20):
            connections = [self.reach(where) for _ in range(16)]
            threads = [threading.Thread(target=connection.send, args=(self.encoded("delete_note"),)) for connection in connections]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for connection in connections:
                self.assert_denial(connection.read_response("POST"), 1)
                connection.close()
        self.assertEqual(self.executed(), [])
        self.assertEqual(agent.status()["sessions"]["blind"], 0)

    @staticmethod
    def encoded(tool):
        body = json.dumps(call(tool)).encode()
        return b"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


class TestConnections(Handed):
    def test_inetd(self):
        """The program that has the connection is the only one that can serve it: it does."""
        for kind in ("tcp", "unix"):
            with self.case(kind=kind):
                agent = self.governing("* connection 0*")
                where = self.where(kind)
                inetd = self.start("-c", INETD, where, SERVER, "LOG")
                for _ in range(3):
                    connection = self.reach(where)
                    served = self.assert_governed(connection)
                    self.assertIn(served, descendants(inetd.pid))
                    connection.close()
                self.assert_judged(agent, "tools/call", "deny", count=3)
                self.stop_agent(agent)

    def test_inetd_with_messages_on_lines(self):
        for kind in ("tcp", "unix"):
            with self.case(kind=kind):
                agent = self.governing("* connection 0*")
                where = self.where(kind)
                self.start("-c", INETD, where, SERVER, "LOG", "lines")
                connection = self.reach(where)
                for tool, denied in (("delete_note", True), ("echo", False)):
                    connection.send(json.dumps(call(tool)).encode() + b"\n")
                    self.assertEqual("_meta" in json.loads(connection._until(b"\n"))["result"], denied)
                self.assertEqual(self.executed(), ["echo"])
                self.stop_agent(agent)

    def test_others_are_left_alone(self):
        """A process that no policy names is asked about once. One that is named is not where it is the client."""
        agent = self.governing("*named_client*")
        where = self.where("tcp")
        self.start(SERVER, "LOG", "listen", where)
        script = ("import socket, sys, time\n"
                  "for number in range(20):\n"
                  "    with socket.create_connection(('127.0.0.1', int(sys.argv[1]))) as peer:\n"
                  "        body = b'{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"ping\"}'\n"
                  "        peer.sendall(b'POST / HTTP/1.1\\r\\nContent-Length: %d\\r\\n\\r\\n%s' % (len(body), body))\n"
                  "        while not peer.recv(1, socket.MSG_PEEK) == b'{': peer.recv(1)\n"
                  "        assert b'done' in peer.recv(9999)  # named_client\n")
        self.reach(where).close()
        self.assertEqual(self.start("-c", script, where).wait(20), 0)
        self.assertEqual(agent.status()["kernel"]["holds"], 1)


class TestEarlierConnections(Handed):
    """What no process' descriptors show when the agent starts."""

    def test_in_the_accept_queue(self):
        for options in (["single"], ["defer"]):
            with self.case(options=options):
                where = self.where("tcp")
                self.start(SERVER, "LOG", "listen", where, *options)
                first, queued = self.reach(where), self.reach(where)
                self.ask(first, "echo")
                agent = self.governing("* listen *")
                time.sleep(1)  # so that nothing at the agent's start can have to do with it
                first.close()
                self.assert_governed(queued)
                self.stop_agent(agent)

    def test_another_protocol_in_the_accept_queue(self):
        """What nobody has read any of yet may be anything, as on a new connection."""
        for data in (b"\0\x01\x02" * 1000, b"P\n"):
            with self.case(bytes=len(data)):
                where = self.where("tcp")
                server = self.start("-c", ECHOING, where, stdin=subprocess.PIPE)
                queued = self.reach(where)
                agent = self.governing("*echoes_later*")
                queued.send(data)
                server.stdin.close()
                self.assertEqual(queued._exactly(len(data)), data)
                self.assertEqual(agent.status()["http"]["connections_adopted"], 1)
                queued.close()
                self.stop_agent(agent)

    def test_two_processes_have_it(self):
        where = self.where("tcp")
        self.start(SERVER, "LOG", "listen", where, "shared")
        connection = self.reach(where)
        self.ask(connection, "echo")
        self.governing("* listen *")
        for identifier in range(8):
            self.assert_denial(self.ask(connection, "delete_note", identifier), identifier)
        self.assertEqual(self.executed(), ["echo"])

    def test_two_processes_have_a_piece_each(self):
        """One has read the beginning of the request when the other reads what follows: both are held then, and a thread that
        reads while another one replaces its descriptor is heard of. At last with an agent one of whose threads is slow to
        decide: what the other one has heard of was often read after what that one has."""
        os.environ["CALLGATE_SLOW_STEP"] = "turn of the first half 1500"
        self.addCleanup(os.environ.pop, "CALLGATE_SLOW_STEP")
        request = TestListeners.encoded("delete_note")
        for options, binary in (([], BINARY), (["threaded"], BINARY), (["threaded"], FAULTS)):
            with self.case(options=options, binary=binary.name):
                where = self.where("tcp")
                self.start(SERVER, "LOG", "listen", where, "forked", *options)
                connections = [self.reach(where) for _ in range(24)]
                for connection in connections:
                    self.ask(connection, "echo")
                agent = self.agent({"example": policy({"command": "* listen *"}, denied="delete_note")}, binary=binary)
                for connection in connections:
                    for at in range(0, len(request), 48):
                        connection.send(request[at:at + 48])
                    self.assert_denial(connection.read_response("POST"), 1)
                self.assertEqual(self.executed(), ["echo"] * len(connections))
                self.stop_agent(agent)

    def test_byte_by_byte(self):
        """It is followed, not cut: nothing was under way."""
        where = self.where("tcp")
        self.start(SERVER, "LOG", "listen", where)
        connection = self.reach(where)
        self.ask(connection, "echo")
        agent = self.governing("* listen *")
        for byte in TestListeners.encoded("delete_note"):
            connection.send(bytes([byte]))
            time.sleep(0.001)  # so that it is a read of its own
        self.assert_denial(connection.read_response("POST"), 1)
        self.assert_governed(connection)
        self.assertEqual(agent.status()["http"]["connections_cut"], 0)

    def test_every_way_to_read(self):
        """The first request under the agent is held in whichever call brings it, on TCP and on AF_UNIX."""
        ways = {(kind, way): self.where(kind) for kind in ("tcp", "unix") for way in ("read", "readv", "recvfrom", "recvmsg")}
        earlier = {}
        for (_, way), where in ways.items():
            self.start("-c", READING, where, way)
        for case, where in ways.items():
            earlier[case] = self.reach(where)
            self.assertEqual(self.ask(earlier[case], "delete_note").body, b"done")
        agent = self.governing("*reads_in_one_way*")
        for case, where in ways.items():
            with self.subTest(case=case):
                for identifier in range(2):
                    self.assert_denial(self.ask(earlier[case], "delete_note", identifier), identifier)
                self.assert_denial(self.ask(self.reach(where), "delete_note"), 1)
        self.assertEqual(agent.audit("session_blind"), [])

    def test_one_that_is_read_unseen(self):
        """It cannot be taken over at its next request: on_blind decides what becomes of its server."""
        for on_blind in ("allow", "kill"):
            with self.case(on_blind=on_blind):
                where = self.where("tcp")
                server = self.start("-c", SPLICING, where)
                connection = self.reach(where)
                self.assertEqual(self.ask(connection, "echo").body, b"done")
                agent = self.governing("*reads_unseen*", on_blind=on_blind)
                connection.send(TestListeners.encoded("delete_note"))
                event = agent.wait_audit("session_blind")[0]
                self.assertIn("splice(2)", event["reason"])
                self.assertIn("that was not steered", event["reason"])
                self.assertIs(event["killed"], on_blind == "kill")
                if on_blind == "kill":
                    self.assertEqual(server.wait(10), -signal.SIGKILL)
                else:
                    self.assertEqual(connection.read_response("POST").body, b"done")
                    self.assert_denial(self.ask(self.reach(where), "delete_note"), 1)
                self.stop_agent(agent)


if __name__ == "__main__":
    main()
