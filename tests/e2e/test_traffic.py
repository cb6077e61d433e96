"""Requests go on while the agent starts and stops."""
import threading

from governed import *  # noqa: F403
from governed import EVERYTHING, NOTES_PY, EndToEnd, cpp_server, echo, echoed, main, policy, wait_for

CHANNELS = ("pipe", "socketpair")


class TestTraffic(EndToEnd):
    def test_while_the_agent_starts_and_stops(self):
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


if __name__ == "__main__":
    main()
