"""kill -9 of the agent between judging a call and having it in its books: it counts once, what it gives back it gives back once, and
an approval is for one call."""
import os

from governed import *  # noqa: F403
from governed import FAULTS, EndToEnd, cpp_server, echo, echoed, json, main, policy

# Of one turn: judged, in the session's ledger, in the counters' file, which does not say yet that the turn is over.
STEPS = ("charged", "charges committed", "counters saved")
CHANNELS = ("pipe", "socketpair")


class TestKillAndCounters(EndToEnd):
    def setUp(self):
        self.fault = self.directory() / "step"
        os.environ["CALLGATE_FAULT_FILE"] = str(self.fault)
        self.addCleanup(os.environ.pop, "CALLGATE_FAULT_FILE")

    def counts(self, agent):
        listed = json.loads(agent.command("counters", "--json").stdout)["counters"]
        return {each["counter"]: each["count"] for each in listed}

    def killed_at(self, agent, step):
        """Once the agent has come by it: in the turn of what comes next."""
        self.fault.write_text(step)
        before = agent.pid

        def wait():
            agent.wait_ready()
            self.assertNotEqual(agent.pid, before)
            self.assertFalse(self.fault.exists(), "nobody came by this step")
        return wait

    def test_a_call_counts_once(self):
        server = cpp_server("--readv")
        limits = [{"counter": "calls", "window": "day", "max": 50}, {"counter": "slowly", "window": "day", "sliding": True, "max": 50}]
        for channel in CHANNELS:
            with self.case(channel=channel):
                agent = self.agent({"p": policy(server.match, tools={"echo": {"limits": limits}})}, keeper=True, binary=FAULTS)
                client = self.client(server.command, channel=channel)
                client.initialize()
                calls = 0
                for step in STEPS:
                    with self.subTest(step=step):
                        started = self.killed_at(agent, step)
                        asked = echo(client, server, step)
                        started()
                        self.assertEqual(echoed(client.answer(asked)), step)
                        calls += 1
                        self.assertEqual(self.counts(agent), {"calls": calls, "slowly": calls})
                        self.assertEqual(echoed(client.answer(echo(client, server, "x"))), "x")
                        calls += 1
                        self.assertEqual(self.counts(agent), {"calls": calls, "slowly": calls})
                self.assertEqual(client.shutdown(), 0)

    def test_what_a_failed_call_gives_back(self):
        """The answer is judged when the agent is killed."""
        server = cpp_server("--readv")
        limits = [{"counter": "calls", "window": "day", "max": 50}]
        rules = {**policy(server.match, tools={"fail": {}, "echo": {}}), "all_tools": {"limits": limits}}
        for channel in CHANNELS:
            with self.case(channel=channel):
                agent = self.agent({"p": rules}, keeper=True, binary=FAULTS)
                client = self.client(server.command, channel=channel)
                client.initialize()
                for _ in range(3):
                    client.answer(echo(client, server, "x"))
                for step in STEPS:
                    with self.subTest(step=step):
                        started = self.killed_at(agent, step + " 2")
                        asked = client.post("tools/call", {"name": "fail", "arguments": {}})
                        started()
                        client.answer(asked)
                        self.assertEqual(self.counts(agent), {"calls": 3})
                self.assertEqual(client.shutdown(), 0)

    def test_what_an_unanswered_call_gives_back(self):
        """Its server has gone, and the agent is killed while the session ends."""
        server = cpp_server("--threads", "2")
        limits = [{"counter": "calls", "window": "day", "max": 50, "count_unanswered": False}]
        rules = {**policy(server.match, tools={"sleep": {}, "echo": {}}), "all_tools": {"limits": limits}}
        for channel in CHANNELS:
            with self.case(channel=channel):
                agent = self.agent({"p": rules}, keeper=True, binary=FAULTS)
                for number, step in enumerate(STEPS, 1):
                    with self.subTest(step=step):
                        client = self.client(server.command, channel=channel)
                        client.initialize()
                        for _ in range(2):
                            client.answer(echo(client, server, "x"))
                        client.post("tools/call", {"name": "sleep", "arguments": {"ms": 60000}})
                        client.request("ping")
                        self.assertEqual(self.counts(agent), {"calls": 2 * number + 1})
                        started = self.killed_at(agent, step)
                        client.process.kill()
                        started()
                        client.read_rest()
                        client.wait()
                        client.close_stdin()
                        self.assertEqual(len(agent.wait_audit("session_end", count=number)), number)
                        self.assertEqual(self.counts(agent), {"calls": 2 * number})

    def test_an_approval_is_for_one_call(self):
        server = cpp_server("--readv")
        for channel in CHANNELS:
            with self.case(channel=channel):
                agent = self.agent({"p": policy(server.match, tools={"echo": {"action": "require_approval"}})}, keeper=True, binary=FAULTS)
                client = self.client(server.command, channel=channel)
                client.initialize()
                seen = set()
                for step in STEPS:
                    with self.subTest(step=step):
                        asked = client.call("echo", {"text": "x"})["error"]["data"]["approval_id"]
                        self.assertNotIn(asked, seen)
                        seen.add(asked)
                        agent.command("approvals", "approve", asked)
                        started = self.killed_at(agent, step)
                        call = echo(client, server, "x")
                        started()
                        self.assertEqual(echoed(client.answer(call)), "x")
                        self.assertNotIn(client.call("echo", {"text": "x"})["error"]["data"]["approval_id"], seen)
                        agent.command("approvals", "revoke", asked, check=False)
                        other = client.call("echo", {"text": "x"})["error"]["data"]["approval_id"]
                        agent.command("approvals", "approve", other)
                        self.assertEqual(echoed(client.answer(echo(client, server, "x"))), "x")
                self.assertEqual(client.shutdown(), 0)


if __name__ == "__main__":
    main()
