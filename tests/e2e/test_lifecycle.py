"""The agent comes and goes while sessions run; servers and clients end in every order."""
import signal
import threading

from governed import *  # noqa: F403
from governed import (EVERYTHING, MCP_SERVER, NOTES_BUN, NOTES_DENO, NOTES_PY, EndToEnd, cpp_server, descriptors, json, main, os, policy,
                      policy_for, wait_for)

SERVERS = (EVERYTHING, NOTES_PY, NOTES_BUN, NOTES_DENO, cpp_server("--readv"), cpp_server("--epoll"), cpp_server("--threads", "4"),
           cpp_server("--dup"))
CHANNELS = ("pipe", "socketpair")


def echoed(answer):
    return answer["result"]["content"][0]["text"].removeprefix("Echo: ")


def echo(client, server, text, **more):
    name = next(iter(server.allowed[1]))
    return client.post("tools/call", {"name": "echo", "arguments": {name: text}}, **more)


class TestComingAndGoing(EndToEnd):
    def test_nothing_to_do(self):
        agent = self.agent({"p": policy(NOTES_PY.match)})
        self.assertEqual(agent.sessions(), [])
        self.stop_agent(agent)

    def test_twice_adopted_twice_handed_back(self):
        for server in SERVERS:
            for channel in CHANNELS:
                with self.case(server=server.name, channel=channel):
                    client = self.client(server.command, channel=channel)
                    client.initialize()
                    before = descriptors(client.pid, inodes=True)
                    for turn in ("first", "second"):
                        agent = self.agent({"p": policy_for(server)})
                        self.assert_denied(client.call(*server.denied))
                        self.assertEqual(echoed(client.answer(echo(client, server, turn))), turn)
                        self.stop_agent(agent)
                        self.assertEqual(descriptors(client.pid, inodes=True), before)
                        self.assertEqual(echoed(client.answer(echo(client, server, "alone"))), "alone")
                    self.assertEqual(client.shutdown(), server.exit_code)

    def test_an_idle_session_is_handed_back(self):
        """The server sleeps in its read, with nothing under way, when the agent goes; it is not woken or interrupted."""
        for server in SERVERS:
            for channel in CHANNELS:
                with self.case(server=server.name, channel=channel):
                    agent = self.agent({"p": policy(server.match)})
                    client = self.client(server.command, channel=channel)
                    client.initialize()
                    client.request("ping")
                    self.stop_agent(agent)
                    self.assertEqual(echoed(client.answer(echo(client, server, "alone"))), "alone")
                    self.assertEqual(client.shutdown(), server.exit_code)

    def test_traffic_while_the_agent_starts_and_stops(self):
        """Each request is answered once and in order, whoever carries it."""
        for server in (EVERYTHING, NOTES_PY, cpp_server("--readv"), cpp_server("--epoll")):
            for channel in CHANNELS:
                with self.case(server=server.name, channel=channel):
                    client = self.client(server.command, channel=channel)
                    client.initialize()
                    stop, sent, seen, failures = threading.Event(), [], [], []

                    def traffic():
                        try:
                            while not stop.is_set() or len(seen) < len(sent):
                                if not stop.is_set() and len(sent) - len(seen) < 16:
                                    sent.append(echo(client, server, f"n{len(sent)}"))
                                else:
                                    seen.append(client.answer(sent[len(seen)]))
                        except BaseException as error:  # reported by the test's own thread
                            failures.append(error)
                    thread = threading.Thread(target=traffic)
                    thread.start()
                    try:
                        for _ in range(3):
                            mark = len(seen)
                            wait_for(lambda: failures or len(seen) > mark + 50, "traffic without the agent")
                            agent = self.agent({"p": policy(server.match)})
                            agent.wait_audit("session_start")
                            mark = len(seen)
                            wait_for(lambda: failures or len(seen) > mark + 50, "traffic through the agent")
                            self.stop_agent(agent)
                    finally:
                        stop.set()
                        thread.join(60)
                    self.assertEqual(failures, [])
                    self.assertEqual([echoed(a) for a in seen], [f"n{n}" for n in range(len(sent))])
                    self.assertEqual(client.shutdown(), server.exit_code)

    def test_half_a_frame_is_under_way(self):
        """The agent holds the first half when it is told to go; nothing of it is lost."""
        for channel in CHANNELS:
            with self.case(channel=channel):
                agent = self.agent({"p": policy_for(NOTES_PY)})
                client = self.client(NOTES_PY.command, channel=channel)
                client.initialize()
                client.request("ping")
                frame = b'{"jsonrpc":"2.0","id":77,"method":"tools/call","params":{"name":"echo","arguments":{"text":"whole"}}}\n'
                client.send(frame[:40])
                self.stop_agent(agent)
                client.send(frame[40:])
                self.assertEqual(echoed(client.answer(77)), "whole")
                self.assertEqual(client.shutdown(), 7)

    def test_an_answer_is_outstanding(self):
        server = cpp_server("--threads", "2")
        agent = self.agent({"p": policy(server.match)})
        client = self.client(server.command)
        client.initialize()
        slow = client.post("tools/call", {"name": "sleep", "arguments": {"ms": 1500}})
        client.request("ping")
        self.stop_agent(agent)
        self.assert_result(client.answer(slow))
        self.assertEqual(client.shutdown(), 0)

    def test_a_server_that_does_not_read_in_time(self):
        """A stop waits no longer than the configuration says; what the server has not read by then is said."""
        server = cpp_server("--readv")
        agent = self.agent({"p": policy(server.match)}, config={"stop_timeout_s": 1})
        client = self.client(server.command)
        client.initialize()
        sleeping = client.post("tools/call", {"name": "sleep", "arguments": {"ms": 3000}})
        unread = b'{"jsonrpc":"2.0","id":8,"method":"ping"}\n'
        client.send(unread)
        wait_for(lambda: agent.status()["frames"]["forwarded"] == 4, "the ping being forwarded")
        self.stop_agent(agent)
        self.assertEqual(agent.audit("session_end")[0]["reason"],
                         f"handed back: the agent stops, {len(unread)} bytes were not read by the server")
        client.post("ping", identifier=9)
        self.assert_result(client.answer(sleeping))
        self.assert_result(client.answer(9))
        self.assertEqual(client.shutdown(), 0)

    def test_forked_children_hold_the_replacement(self):
        server = cpp_server("--double-fork")
        agent = self.agent({"p": policy_for(server)})
        client = self.client(server.command)
        client.initialize()
        self.assert_denied(client.call(*server.denied))
        self.stop_agent(agent)
        self.assert_result(client.call(*server.allowed))
        self.assertEqual(client.shutdown(), 0)


class TestEnds(EndToEnd):
    """How a session can end; each is done without the agent first, and must look the same with it."""

    def both(self, scenario, server, **options):
        for channel in CHANNELS:
            with self.case(channel=channel):
                def once():
                    client = self.client(server.command, channel=channel, **options)
                    client.initialize()
                    client.request("ping")
                    return scenario(client)
                direct = once()
                agent = self.agent({"p": policy(server.match)})
                self.assertEqual(once(), direct)
                agent.wait_audit("session_end")
                wait_for(lambda: agent.sessions() == [], "the session's end", seconds=10, interval=0.02)
                self.stop_agent(agent)

    def test_end_of_input(self):
        self.both(lambda c: c.shutdown(), NOTES_PY)

    def test_the_server_is_killed(self):
        def scenario(client):
            client.process.kill()
            return client.read_rest(), client.wait()
        self.both(scenario, NOTES_PY)

    def test_the_server_is_terminated(self):
        def scenario(client):
            client.process.terminate()
            return client.read_rest(), client.wait()
        self.both(scenario, EVERYTHING)

    def test_the_server_exits_by_itself(self):
        def scenario(client):
            client.post("ping")
            client.post("tools/call", {"name": "exit", "arguments": {"code": 42}})
            return client.read_rest(), client.wait()
        self.both(scenario, cpp_server("--readv"))

    def test_the_client_closes_everything(self):
        def scenario(client):
            client.close_stdin()
            client.close_stdout()
            return client.wait()
        self.both(scenario, NOTES_PY)

    def test_the_client_stops_listening(self):
        """The server's next answer must break its pipe, as it does without the agent."""
        def scenario(client):
            client.close_stdout()
            code = None
            for _ in range(1000):  # each answer is one more chance to notice
                try:
                    client.send(b'{"jsonrpc":"2.0","id":5,"method":"ping"}\n', read=False)
                except BrokenPipeError:
                    break
                try:
                    code = client.wait(0.02)
                    break
                except Exception:  # still running
                    continue
            client.close_stdin()
            return client.wait() if code is None else code
        self.both(scenario, cpp_server("--readv"))

    def test_a_client_that_is_killed(self):
        """kill -9 of the process that holds the client's ends: the server sees the end of its input."""
        for server in (NOTES_PY, EVERYTHING):
            with self.case(server=server.name):
                agent = self.agent({"p": policy(server.match)})
                client = self.sdk_client(server.command, [{"call": {"name": "echo", "arguments": server.allowed[1]}}, {"wait": True}])
                pid = client.event()["connected"]["pid"]
                self.assertIn("result", client.event())
                client.process.kill()
                wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "the server's end", seconds=20)
                agent.wait_audit("session_end")


if __name__ == "__main__":
    main()
