"""The end of a server is seen after the last of its output, as without the agent, and its exit is never in the way."""
import signal
import threading

from governed import *  # noqa: F403
from governed import PYTHON, EndToEnd, Path, json, main, os, policy, select, time, wait_for

MATCH = {"command": "*exit-server*"}
BYTES = 40_000  # fits into the pipes: the server does not wait for its reader

# Answers initialize; at the first call it writes many lines and ends in the way that its argument says.
SERVER = """
import ctypes, json, os, signal, sys, threading, time
how, size = sys.argv[2], int(sys.argv[3])
def leave():
    line = json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x" * 900}})
    os.write(1, ((line + "\\n") * (size // len(line))).encode() + b'{"jsonrpc":"2.0","method":"notifications/last"}\\n')
    if how == "exit": sys.exit(7)
    if how == "signal": os.kill(os.getpid(), signal.SIGTERM)
    if how == "thread": os._exit(7)
    if how == "leader":
        threading.Thread(target=lambda: (time.sleep(0.05), os._exit(7))).start()
        ctypes.CDLL(None).pthread_exit(0)
    if how == "fork":
        if os.fork(): os._exit(7)
        sys.stdin.readline()
        print('{"jsonrpc":"2.0","method":"notifications/child"}', flush=True)
        sys.stdin.readline()
    if how == "exec":
        program = [sys.executable, "-c", "import sys; sys.stdin.readline(); sys.exit(7)"]
        threading.Thread(target=lambda: os.execv(program[0], program)).start()
        time.sleep(60)
if how == "thread": [threading.Thread(target=time.sleep, args=(60,), daemon=True).start() for _ in range(4)]
for line in sys.stdin:
    message = json.loads(line)
    if message["method"] == "tools/call":
        threading.Thread(target=leave).start() if how == "thread" else leave()
    elif "id" in message:
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": {}}), flush=True)
"""
ENDS = {"exit": 7, "signal": -signal.SIGTERM, "thread": 7}


def read_without_waiting(fd):
    """What is there now, and whether the end is."""
    found = b""
    while True:
        try:
            chunk = os.read(fd, 1 << 16)
        except BlockingIOError:
            return found, False
        if not chunk:
            return found, True
        found += chunk


class TestExits(EndToEnd):
    def start(self, how, channel="pipe", size=BYTES):
        client = self.client([PYTHON, "-c", SERVER, "exit-server", how, str(size)], channel=channel)
        client.initialize()
        return client

    def leave(self, client):
        client.send(b'{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"leave","arguments":{}}}\n', read=False)

    def reap(self, client, options=0):
        pid, status = os.waitpid(client.pid, options)
        if pid:
            client.process.returncode = os.waitstatus_to_exitcode(status)
            return client.process.returncode
        return None

    def test_reading_only_after_the_server_has_been_reaped(self):
        """The client reads nothing until waitpid() has returned, and then everything is there, the end of file too."""
        for governed in (False, True):
            agent = self.agent({"p": policy(MATCH)}) if governed else None
            rounds = 0
            for how, code in ENDS.items():
                for channel in ("pipe", "socketpair"):
                    for _ in range(5):
                        with self.case(governed=governed, how=how, channel=channel):
                            client = self.start(how, channel)
                            rounds += 1
                            self.leave(client)
                            self.assertEqual(self.reap(client), code)
                            output, ended = read_without_waiting(client._out.fileno())
                            self.assertTrue(output.endswith(b'notifications/last"}\n'), len(output))
                            self.assertTrue(ended)
            if governed:
                wait_for(lambda: len(agent.audit("session_end")) == rounds, "the sessions' ends")
                self.assertEqual(agent.status()["exits"], {"held": rounds, "unheld": 0, "overdue": 0})

    def test_a_pidfd_is_readable_when_the_status_is_there(self):
        """Not before, or clients that rely on that break: such an exit is not held."""
        agent = self.agent({"p": policy(MATCH)})
        for number in range(10):
            client = self.start("exit")
            pidfd = os.pidfd_open(client.pid)
            waiting = select.epoll()
            waiting.register(pidfd, select.EPOLLIN)
            self.leave(client)
            self.assertTrue(waiting.poll(20))
            self.assertEqual(self.reap(client, os.WNOHANG), 7)
            os.close(pidfd)
            waiting.close()
            self.assertIn(b"notifications/last", b"".join(client.read_rest()))
        self.assertEqual(agent.status()["exits"], {"held": 0, "unheld": 10, "overdue": 0})

    def test_the_first_thread_ends_before_the_others(self):
        agent = self.agent({"p": policy(MATCH)})
        client = self.start("leader")
        self.leave(client)
        self.assertEqual(self.reap(client), 7)
        self.assertIn(b"notifications/last", b"".join(client.read_rest()))
        self.assertEqual(agent.status()["exits"], {"held": 0, "unheld": 1, "overdue": 0})

    def test_a_child_that_has_the_output_too_goes_on(self):
        """Its parent's end waits for what has been written, not for what the child may write some day."""
        for channel in ("pipe", "socketpair"):
            with self.case(channel=channel):
                agent = self.agent({"p": policy(MATCH)})
                client = self.start("fork", channel)
                self.leave(client)
                self.assertEqual(self.reap(client), 7)
                output, ended = read_without_waiting(client._out.fileno())
                self.assertIn(b"notifications/last", output)
                self.assertFalse(ended)
                self.assertEqual(agent.status()["exits"], {"held": 1, "unheld": 0, "overdue": 0})
                client.notify("notifications/go")
                self.assertIn(b"notifications/child", client.read_line())
                client.close_stdin()
                client.read_rest()

    def test_another_thread_executes_a_program(self):
        """The first thread ends then, and the process does not."""
        agent = self.agent({"p": policy(MATCH)})
        client = self.start("exec")
        self.leave(client)
        wait_for(lambda: "sys.exit(7)" in Path(f"/proc/{client.pid}/cmdline").read_text(), "the program")
        self.assertEqual(agent.status()["exits"], {"held": 0, "unheld": 0, "overdue": 0})
        client.notify("notifications/go")
        client.read_rest()
        self.assertEqual(client.wait(), 7)
        wait_for(lambda: agent.status()["exits"] == {"held": 1, "unheld": 0, "overdue": 0}, "the exit being held")

    def test_a_client_that_does_not_read_delays_it_for_a_moment(self):
        """More than both pipes hold: what the agent has to keep is no reason to keep the server."""
        agent = self.agent({"p": policy(MATCH)})
        client = self.start("exit", size=100_000)
        start = time.monotonic()
        self.leave(client)
        self.assertEqual(self.reap(client), 7)
        self.assertLess(time.monotonic() - start, 5)
        wait_for(lambda: agent.status()["exits"] == {"held": 1, "unheld": 0, "overdue": 1}, "the exit being let go")
        self.assertIn(b"notifications/last", b"".join(client.read_rest()))

    def test_the_agent_goes_while_it_holds_an_exit(self):
        """The kernel passes the zombie on to its parent."""
        agent = self.agent({"p": policy(MATCH)})
        client = self.start("exit", size=100_000)
        self.leave(client)
        wait_for(lambda: "State:\tZ" in Path(f"/proc/{client.pid}/status").read_text(), "the server's end", interval=0.001)
        agent.process.kill()
        agent.process.wait()
        self.assertEqual(self.reap(client), 7)

    def test_many_at_once(self):
        agent = self.agent({"p": policy(MATCH)})
        clients = [self.start("exit") for _ in range(20)]
        codes = []
        reapers = [threading.Thread(target=lambda each=each: codes.append(self.reap(each))) for each in clients]
        for each in clients:
            self.leave(each)
        for each in reapers:
            each.start()
        for each in reapers:
            each.join(20)
        self.assertEqual(codes, [7] * 20)
        complete = sum(b"notifications/last" in read_without_waiting(each._out.fileno())[0] for each in clients)
        exits = agent.status()["exits"]
        self.assertEqual(exits["held"] + exits["unheld"], 20)
        self.assertGreaterEqual(complete, exits["held"] - exits["overdue"])
        print("exits of 20 servers at once:", json.dumps(exits))


if __name__ == "__main__":
    main()
