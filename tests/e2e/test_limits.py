"""Limits under load, and calls that wait for room instead of being denied."""
import os
import signal
import threading

from governed_http import *  # noqa: F403
from governed_http import LIMITED, NOTES_PY, PYTHON_HTTP, EndToEnd, HttpEndToEnd, cpp_server, main, policy, wait_for

CLIENTS, CALLS, MAXIMUM = 64, 8, 150
RULE = "/tools/echo/limits/c"


def limited(match, **limit):
    return policy(match, tools={"echo": {"limits": [{"counter": "c", **limit}]}})


def counts(agent):
    return [counter["count"] for counter in json_of(agent.command("counters", "--json"))["counters"]]


def in_one_window(agent, answered):
    """How many of the calls that went on were charged to each window, in the order of the windows."""
    calls = agent.wait_audit("message", count=answered, direction="c2s", tool="echo", decision="allow")
    windows = {}
    for call in calls:
        start = call["counters"][0]["window_start"]
        windows[start] = windows.get(start, 0) + 1
    return [windows[start] for start in sorted(windows)]


class TestLimits(EndToEnd):
    def test_many_clients_on_one_counter(self):
        """Each has a session of its own; exactly `max` calls of all of them pass."""
        server = cpp_server()
        agent = self.agent({"p": limited(server.match, window="day", max=MAXIMUM, scope="server")})
        clients = [self.client(server.command) for _ in range(CLIENTS)]
        passed, denied, failures = [], [], []

        def hammer(client):
            try:
                client.initialize()
                for _ in range(CALLS):
                    answer = client.call("echo", {"text": "x"}, seconds=60)
                    (denied if answer["result"].get("isError") else passed).append(answer)
            except Exception as error:  # noqa: BLE001
                failures.append(error)
        threads = [threading.Thread(target=hammer, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual((len(passed), len(denied)), (MAXIMUM, CLIENTS * CALLS - MAXIMUM))
        for answer in denied:
            self.assert_denied(answer, code=LIMITED, rule=RULE)
        counters = json_of(agent.command("counters", "--json"))["counters"]
        self.assertEqual([(c["counter"], c["count"], c["max"]) for c in counters], [("c", MAXIMUM, MAXIMUM)])
        for client in clients:
            client.shutdown()

    def test_a_sum_of_arguments(self):
        server = NOTES_PY
        self.agent({"p": limited(server.match, window="day", max=10, increment_from="args.n")})
        client = self.client(server.command)
        client.initialize()

        def call(arguments):
            return client.call("echo", {"text": "x", **arguments})
        self.assert_result(call({"n": 9.75}))
        self.assert_denied(call({"n": 0.250001}), code=LIMITED, rule=RULE)
        for amount in (-5, "1", None, 0.0000001):
            decision = self.assert_denied(call({"n": amount}), rule=RULE)
            self.assertNotIn("retryAfterMs", decision)
        self.assert_denied(call({}), rule=RULE)
        self.assert_result(call({"n": 0.25}))
        client.shutdown()


    def test_a_cancelled_call_is_given_back(self):
        server = cpp_server("--threads", "2")
        limit = {"counter": "c", "window": "day", "max": 1, "count_unanswered": False}
        agent = self.agent({"p": policy(server.match, tools={"sleep": {"limits": [limit]}})})
        client = self.client(server.command)
        client.initialize()
        slow = client.post("tools/call", {"name": "sleep", "arguments": {"ms": 1000}})
        wait_for(lambda: counts(agent) == [1], "it is charged")
        client.notify("notifications/cancelled", {"requestId": slow})
        wait_for(lambda: counts(agent) == [0], "it is given back")
        self.assert_result(client.call("sleep", {"ms": 1}))
        self.assert_denied(client.call("sleep", {"ms": 1}), code=LIMITED, rule="/tools/sleep/limits/c")
        client.shutdown()
        self.assertEqual(counts(agent), [1])


class TestDelay(EndToEnd):
    def test_calls_wait_and_others_pass_them(self):
        for channel in ("pipe", "socketpair"):
            with self.case(channel=channel):
                agent = self.agent({"p": limited(NOTES_PY.match, window=1, max=2, on_exceed="delay", max_delay_ms=60000)})
                client = self.client(NOTES_PY.command, channel=channel)
                client.initialize()
                calls = [client.post("tools/call", {"name": "echo", "arguments": {"text": str(n)}}) for n in range(8)]
                client.request("ping")
                for call in calls:
                    self.assert_result(client.answer(call))
                windows = in_one_window(agent, 8)
                self.assertEqual((sum(windows), max(windows)), (8, 2))
                ids = [r["rpc_id"] for r in agent.audit("message", direction="c2s", tool="echo")]
                self.assertEqual(ids, calls)
                client.shutdown()
                self.stop_agent(agent)

    def test_a_cancelled_call_is_never_made(self):
        agent = self.agent({"p": limited(NOTES_PY.match, window=2, max=1, on_exceed="delay", max_delay_ms=60000)})
        client = self.client(NOTES_PY.command)
        client.initialize()
        calls = [client.post("tools/call", {"name": "echo", "arguments": {"text": str(n)}}) for n in range(4)]
        client.notify("notifications/cancelled", {"requestId": calls[2]})
        for number in (0, 1, 3):
            self.assert_result(client.answer(calls[number]))
        self.assertEqual(len(agent.audit("message", direction="c2s", tool="echo", rule="(cancelled while it waited)")), 1)
        client.close_stdin()
        client.read_rest()
        self.assertNotIn(f'"id": {calls[2]}', "".join(map(str, client.lines)))

    def test_the_last_calls_of_a_client_that_says_no_more_are_made(self):
        """Its end of file is passed on behind them."""
        self.agent({"p": limited(NOTES_PY.match, window=1, max=1, on_exceed="delay", max_delay_ms=60000)})
        client = self.client(NOTES_PY.command)
        client.initialize()
        calls = [client.post("tools/call", {"name": "echo", "arguments": {"text": str(n)}}) for n in range(3)]
        client.close_stdin()
        for call in calls:
            self.assert_result(client.answer(call))
        client.read_rest()
        self.assertEqual(client.wait(), NOTES_PY.exit_code)

    def test_no_room_in_time(self):
        self.agent({"p": limited(NOTES_PY.match, window="day", max=1, on_exceed="delay", max_delay_ms=1)})
        client = self.client(NOTES_PY.command)
        client.initialize()
        self.assert_result(client.call("echo", {"text": "x"}))
        self.assert_denied(client.call("echo", {"text": "x"}), code=LIMITED, rule=RULE)
        client.shutdown()

    def test_an_agent_that_stops_answers_those_who_wait(self):
        agent = self.agent({"p": limited(NOTES_PY.match, max_in_flight=0, on_exceed="delay", max_delay_ms=600000)})
        client = self.client(NOTES_PY.command)
        client.initialize()
        self.assertIn("isError", client.call("echo", {"text": "x"})["result"])  # 0 at a time: never
        self.stop_agent(agent)
        self.assert_result(client.call("echo", {"text": "x"}))
        client.shutdown()


class TestHttpLimits(HttpEndToEnd):
    def test_a_cancelled_call_is_given_back(self):
        """Over another connection, before the server gets to it; its answer comes late and changes nothing."""
        server = self.server(PYTHON_HTTP)
        agent = self.agent({"p": limited(PYTHON_HTTP.match, window="day", max=1, count_unanswered=False)})
        client = self.mcp(server)
        call = client.call_message("echo", {"text": "x"})
        cancellation = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": call["id"]}}
        os.kill(server.pid, signal.SIGSTOP)
        try:
            client.connection.send(client.encode(call))
            wait_for(lambda: counts(agent) == [1], "it is charged")
            self.connect(server).send(client.encode(cancellation))
            wait_for(lambda: counts(agent) == [0], "it is given back")
        finally:
            os.kill(server.pid, signal.SIGCONT)
        self.assertEqual(client.connection.read_response("POST").status, 200)
        self.assertEqual(counts(agent), [0])
        self.assert_result(client.call("echo", {"text": "x"}))
        self.assertEqual(counts(agent), [1])


class TestHttpDelay(HttpEndToEnd):
    def test_calls_wait_over_http(self):
        server = self.server(PYTHON_HTTP)
        agent = self.agent({"p": limited(PYTHON_HTTP.match, window=1, max=2, on_exceed="delay", max_delay_ms=60000)})
        clients = [self.mcp(server) for _ in range(6)]
        answers = []
        threads = [threading.Thread(target=lambda c=client: answers.append(c.call("echo", {"text": "x"}))) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(answers), 6)
        for answer in answers:
            self.assert_result(answer)
        self.assertEqual(sum(in_one_window(agent, 6)), 6)
        self.assertLessEqual(max(in_one_window(agent, 6)), 2)

    def test_no_room_in_time(self):
        server = self.server(PYTHON_HTTP)
        agent = self.agent({"p": limited(PYTHON_HTTP.match, window="day", max=1, on_exceed="delay", max_delay_ms=1000, scope="session")})
        client = self.mcp(server)
        self.assert_result(client.call("echo", {"text": "x"}))
        decision = self.assert_denied(client.call("echo", {"text": "x"}), code=LIMITED, rule=RULE)
        self.assertGreater(decision["retryAfterMs"], 0)
        wait_for(lambda: agent.status()["counters"]["waiting"] == 0, "nobody waits")


def json_of(done):
    import json
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
