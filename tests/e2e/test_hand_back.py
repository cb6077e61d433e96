"""A session goes back to its own channels while much of it is on its way, or begins."""
import re
import signal
import threading
import time

from governed import *  # noqa: F403
from governed import LONG, EndToEnd, Path, cpp_server, main, policy, policy_for, wait_for

CHANNELS = ("pipe", "socketpair")
STOPPED = "handed back: the agent stops"


class TestMuchIsOnItsWay(EndToEnd):
    def print_much(self, channel):
        """A server that is at printing 1.5 MB, of which its client reads nothing: an agent that is being stopped."""
        server = cpp_server("--readv")
        agent = self.agent({"p": policy(server.match)}, config={"stop_timeout_s": 1})
        client = self.client(server.command, channel=channel)
        client.initialize()
        lines = [f"line {number:>30}\n".encode() for number in range(1_500_000 // 36)]
        path = self.directory() / "lines"
        path.write_bytes(b"".join(lines))
        asked = client.post("tools/call", {"name": "print", "arguments": {"path": str(path)}})
        wait_for(lambda: Path(f"/proc/{client.pid}/syscall").read_text().startswith("1 "), "write()")
        time.sleep(0.2)  # so that it waits in it
        agent.process.send_signal(signal.SIGTERM)
        return agent, client, lines, asked

    def test_a_client_that_reads_late(self):
        """What it has not read when the time is over comes first, and everything comes."""
        for channel in ("pipe", "socketpair"):
            with self.case(channel=channel):
                agent, client, lines, asked = self.print_much(channel)
                time.sleep(1.3)
                for number, line in enumerate(lines):
                    self.assertEqual(client.read_line(), line, f"line {number}")
                self.assert_result(client.answer(asked))
                self.assertEqual(agent.process.wait(20), 0)
                self.assertEqual(agent.audit("session_end")[0]["reason"], STOPPED)
                self.assert_result(client.request("ping"))
                self.assertEqual(client.shutdown(), 0)

    def test_a_client_that_does_not_read(self):
        """The session ends, and the audit log says how much is missing."""
        for channel in ("pipe", "socketpair"):
            with self.case(channel=channel):
                agent, client, lines, _ = self.print_much(channel)
                self.assertEqual(agent.process.wait(20), 0)
                reason = agent.audit("session_end")[0]["reason"]
                self.assertRegex(reason, "^handed back: the agent stops, but: .* bytes of the server's output have not reached it$")
                missing = int(re.search(r"(\d+) bytes", reason)[1])
                got = b"".join(client.read_rest())
                self.assertTrue(b"".join(lines).startswith(got))
                self.assertGreater(missing, 256 << 10)
                self.assertLessEqual(len(got) + missing, sum(map(len, lines)))


class TestMuchBegins(EndToEnd):
    def read_on(self, client):
        """Reads all that comes, in a thread; the lines so far. Where the test ends, so does the client."""
        lines = []

        def read():
            while line := client.read_line(60):
                lines.append(line)
        thread = threading.Thread(target=read)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(client.process.kill)
        return lines, thread

    @staticmethod
    def numbers_in(lines, beginning):
        return [int(line.removeprefix(beginning)) for line in list(lines) if line.startswith(beginning)]

    def test_threads_that_begin_others(self):
        """None of them is overlooked by a hand-back: every line of the server's comes, in order."""
        server = cpp_server("--links", "4")
        client = self.client(server.command)
        lines, thread = self.read_on(client)
        for number in range(10 if LONG else 5):
            agent = self.agent({"p": policy_for(server)})
            client.post("tools/call", {"name": "delete_note", "arguments": {}}, identifier=f"call {number}")
            agent.wait_audit("message", decision="deny")
            self.stop_agent(agent)
            count = len(lines)
            wait_for(lambda: len(lines) > count + 1000, "lines of the server's own")
            for chain in range(4):
                numbers = self.numbers_in(lines, b"link %d " % chain)
                self.assertEqual(numbers, list(range(len(numbers))), f"chain {chain} after hand-back {number}")
            self.assertEqual(agent.audit("session_end")[0]["reason"], STOPPED)
        client.close_stdin()
        self.assertEqual(client.wait(), 0)
        thread.join()

    def test_forked_while_it_is_handed_back(self):
        """Children of that moment are given back what they have, too: each of them prints its line."""
        server = cpp_server("--forks")
        agent = self.agent({"p": policy_for(server)})
        client = self.client(server.command)
        lines, thread = self.read_on(client)
        client.post("tools/call", {"name": "delete_note", "arguments": {}})
        agent.wait_audit("message", decision="deny")
        time.sleep(0.5)
        self.stop_agent(agent)
        time.sleep(0.5)
        client.close_stdin()
        self.assertEqual(client.wait(), 0)
        thread.join()
        numbers = sorted(self.numbers_in(lines, b"child "))
        self.assertEqual(numbers, list(range(len(numbers))))
        self.assertEqual(agent.audit("session_end")[0]["reason"], STOPPED)


if __name__ == "__main__":
    main()
