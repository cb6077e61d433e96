"""Nothing unjudged is read: the server's own log of every byte that it was given never holds a denied frame."""
import pwd

from governed import *  # noqa: F403
from governed import SHORT, SLOWNESS, EndToEnd, MCP_SERVER, NOTES_PY, cpp_server, descriptors, json, main, os, policy, unread, wait_for

META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "harness", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {}}
MODES = ((), ("--readv",), ("--epoll",), ("--dup",), ("--threads", "2"), ("--double-fork",))[:3 if SHORT else None]


def frame(method, identifier=1, **params):
    return json.dumps({"jsonrpc": "2.0", "id": identifier, "method": method, "params": params}).encode() + b"\n"


def denied(identifier=1, **params):
    return frame("tools/call", identifier, name="delete_note", arguments={}, **params)


INITIALIZE = frame("initialize", 0, protocolVersion="2025-11-25", capabilities={},
                   clientInfo={"name": "harness", "version": "1"})
PING = frame("ping", 99)


class TestFirstBytes(EndToEnd):
    def setUp(self):
        self.log = self.directory() / "log"
        self.log.touch()

    def start(self, *mode, channel="pipe"):
        return self.client([MCP_SERVER, *mode, "--log", str(self.log)], channel=channel)

    def deny_agent(self):
        return self.agent({"deny": policy(cpp_server().match, denied="delete_note")})

    def check(self, client, forwarded):
        """A ping comes through; what the server read is exactly `forwarded` and the ping."""
        client.send(PING)
        self.assertEqual(client.answer(99)["result"], {})
        self.assertEqual(self.log.read_bytes(), forwarded + PING)
        self.assertEqual(client.shutdown(), 0)
        self.assertEqual(self.log.read_bytes(), forwarded + PING)

    def test_a_denied_first_frame_is_never_read(self):
        for mode in MODES:
            for channel in ("pipe", "socketpair"):
                for name, first in (("modern", denied(_meta=META)), ("without initialize", denied())):
                    with self.case(mode=mode, channel=channel, first=name):
                        self.log.write_bytes(b"")
                        agent = self.deny_agent()
                        client = self.start(*mode, channel=channel)
                        client.send(first)
                        self.assert_denied(client.answer(1))
                        self.check(client, b"")
                        self.stop_agent(agent)

    def test_threads_that_read_one_input(self):
        """Each of them is in the middle of a read, or has just read, when another one's first frame has them all taken over."""
        name = pwd.getpwuid(os.getuid()).pw_name
        agent = self.agent({"deny": policy({"user": name}, denied="delete_note")})
        blind = 0
        for channel in ("pipe", "socketpair"):
            for number in range(10 if SHORT else 25):
                for again, attempt in enumerate(self.attempts(channel=channel, number=number)):
                    with attempt:
                        if again:
                            blind = agent.status()["sessions"]["blind"]
                        self.read_by_eight(channel)
                        self.assertEqual(agent.status()["sessions"]["blind"], blind)

    def read_by_eight(self, channel):
        self.log.write_bytes(b"")
        client = self.start("--readers", "8", channel=channel)
        try:
            wait_for(lambda: len(os.listdir(f"/proc/{client.pid}/task")) == 8, "all of them reading")
            for identifier in range(40):
                client.send(denied(identifier), read=False)
            for identifier in range(40):
                self.assert_denied(client.answer(identifier))
            client.send(PING)
            self.assertEqual(client.answer(99)["result"], {})
            self.assertEqual(self.log.read_bytes(), PING)
        finally:
            client.kill()

    def test_two_frames_in_one_write(self):
        for mode in MODES:
            with self.case(mode=mode):
                self.log.write_bytes(b"")
                agent = self.deny_agent()
                client = self.start(*mode)
                client.send(INITIALIZE + denied())
                self.assertIn("result", client.answer(0))
                self.assert_denied(client.answer(1))
                self.check(client, INITIALIZE)
                self.stop_agent(agent)

    def test_a_first_frame_byte_by_byte(self):
        for size in (1, 3, 7):
            with self.case(size=size):
                self.log.write_bytes(b"")
                agent = self.deny_agent()
                client = self.start()
                client.send_in_pieces(denied(_meta=META), size)
                self.assert_denied(client.answer(1))
                self.check(client, b"")
                self.stop_agent(agent)

    def test_a_session_adopted_midway(self):
        """The server is asleep in its read when the agent starts; the next frame is already judged."""
        for mode in MODES:
            for channel in ("pipe", "socketpair"):
                with self.case(mode=mode, channel=channel):
                    self.log.write_bytes(b"")
                    client = self.start(*mode, channel=channel)
                    client.send(INITIALIZE)
                    client.answer(0)
                    agent = self.deny_agent()
                    client.send(denied())
                    self.assert_denied(client.answer(1))
                    self.check(client, INITIALIZE)
                    self.stop_agent(agent)

    def test_adopted_between_a_message_and_the_end_of_its_line(self):
        """Some clients write the two one after the other. The end of the line alone goes on to who has read the message."""
        for mode in ((), ("--epoll",)):
            for channel in ("pipe", "socketpair"):
                with self.case(mode=mode, channel=channel):
                    self.log.write_bytes(b"")
                    client = self.start(*mode, channel=channel)
                    client.send(INITIALIZE[:-1])
                    wait_for(lambda: self.log.read_bytes() == INITIALIZE[:-1], "the message being read")
                    agent = self.deny_agent()
                    client.send(b"\n")
                    client.answer(0)
                    client.send(denied())
                    self.assert_denied(client.answer(1))
                    self.check(client, INITIALIZE)
                    self.stop_agent(agent)

    def test_adopted_midway_by_a_client_that_ends_its_lines_otherwise(self):
        """A carriage return ends a line for servers that read universal newlines: what comes behind it is judged."""
        client = self.client(NOTES_PY.command)
        client.initialize()
        self.agent({"deny": policy(NOTES_PY.match, denied="delete_note")})
        client.send(b"x\r" + denied())
        self.assert_denied(client.answer(1))
        self.assert_result(client.call("echo", {"text": "on"}))
        client.shutdown()

    def test_bytes_that_waited_in_the_pipe(self):
        """The frame is in the pipe before the agent starts; the server reads only later."""
        client = self.start("--late", str(int(2000 * SLOWNESS)))
        client.send(denied())
        agent = self.deny_agent()
        self.assertEqual(self.log.read_bytes(), b"", "the server was too early for this test")
        self.assert_denied(client.answer(1))
        self.check(client, b"")
        agent.wait_audit("session_end")


if __name__ == "__main__":
    main()
