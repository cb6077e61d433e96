"""Sessions and streams: the older HTTP+SSE transport, sessions over many connections, standalone streams, resumption."""
import threading

from governed_http import *  # noqa: F403
from governed_http import (CPP_HTTP, EVERYTHING_SSE, LIMITED, PYTHON_HTTP, EventStream, HttpConnection, HttpEndToEnd, main, make_request,
                           policy, policy_for, wait_for)


class TestOlderTransport(HttpEndToEnd):
    """The answer to a POST comes on the session's stream, and so must a denial."""

    def transcript(self, server):
        with_stream = self.sse(server)
        accepted = with_stream.post({"jsonrpc": "2.0", "id": 1, "method": "ping"})
        answers = [with_stream.stream.answer(1), with_stream.request("tools/list", identifier="a b"),
                   with_stream.call(*EVERYTHING_SSE.allowed, identifier=3), with_stream.request("no/such/method", identifier=4)]
        return accepted.comparable(), answers

    def test_identical_under_an_allow_policy(self):
        server = self.server(EVERYTHING_SSE)
        direct = self.transcript(server)
        agent = self.agent({"allow": policy(EVERYTHING_SSE.match)})
        self.assertEqual(self.transcript(server), direct)
        self.assert_judged(agent, "tools/call")

    def test_a_denial_comes_on_the_stream(self):
        server = self.server(EVERYTHING_SSE)
        direct = self.sse(server)
        accepted = direct.post({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                                "params": {"name": "get-env", "arguments": {}}})
        self.assertEqual((accepted.status, accepted.body), (202, b"Accepted"))
        self.assert_result(direct.stream.answer(1))
        agent = self.agent({"example": policy_for(EVERYTHING_SSE)})
        client = self.sse(server)
        for identifier in (1, "two", 3):
            response = client.post({"jsonrpc": "2.0", "id": identifier, "method": "tools/call",
                                    "params": {"name": "get-env", "arguments": {}}})
            self.assertEqual((response.status, response.body), (202, b"Accepted"))
            self.assert_denied(client.stream.answer(identifier), rule="/tools/get-env/deny_if")
        for _ in range(2):
            self.assert_result(client.call(*EVERYTHING_SSE.limited))
        self.assert_denied(client.call(*EVERYTHING_SSE.limited), code=LIMITED)
        self.assert_result(client.call(*EVERYTHING_SSE.allowed))
        calls = agent.wait_audit("message", count=7, direction="c2s", method="tools/call")
        self.assertEqual([r["decision"] for r in calls], ["deny"] * 3 + ["allow"] * 2 + ["deny", "allow"])
        self.assertEqual(len({r["session"] for r in calls}), 1)

    def test_where_messages_go_is_known_whatever_the_client_sent(self):
        """A policy for the path of the stream holds for that of its messages; a field of another transport means nothing here."""
        server = self.server(EVERYTHING_SSE)
        agent = self.agent({"example": policy({**EVERYTHING_SSE.match, "path": "/sse"}, denied="get-env")})
        client = self.sse(server, fields=[("Mcp-Session-Id", "x")])
        response = client.post({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "get-env", "arguments": {}}})
        self.assert_denial(response, 7, rule="/tools/get-env/deny_if")
        self.assert_judged(agent, "tools/call", "deny")
        self.assert_result(client.call(*EVERYTHING_SSE.allowed))

    def test_each_session_gets_its_own(self):
        server = self.server(EVERYTHING_SSE)
        agent = self.agent({"example": policy(EVERYTHING_SSE.match, denied="get-env")})
        clients = [self.sse(server) for _ in range(4)]
        for number in range(20):
            client = clients[number % 4]
            client.post({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": "get-env", "arguments": {}}})
        for number in range(20):
            self.assert_denied(clients[number % 4].stream.answer(number))
        records = self.assert_judged(agent, "tools/call", "deny", count=20)
        self.assertEqual(len({r["session"] for r in records}), 4)

    def test_between_the_servers_events(self):
        """Denials arrive whole while the server is busy sending."""
        server = self.server(EVERYTHING_SSE)
        self.agent({"example": policy(EVERYTHING_SSE.match, denied="get-env")})
        client = self.sse(server)
        rounds = 100
        for number in range(rounds):
            client.post({"jsonrpc": "2.0", "id": f"list {number}", "method": "tools/list"})
            client.post({"jsonrpc": "2.0", "id": f"deny {number}", "method": "tools/call", "params": {"name": "get-env", "arguments": {}}})
        waiting = {f"{kind} {number}" for kind in ("list", "deny") for number in range(rounds)}
        while waiting:
            message = client.stream.next().json()
            if "method" not in message:
                waiting.remove(message["id"])  # each once
                if message["id"].startswith("deny"):
                    self.assert_denied(message)
                else:
                    self.assertEqual(message["result"]["tools"][0]["name"], "echo")

    def test_hidden_in_the_stream(self):
        server = self.server(EVERYTHING_SSE)
        tools = self.sse(server).request("tools/list")["result"]["tools"]
        self.agent({"hide": policy(EVERYTHING_SSE.match, hide=["get-env"])})
        listed = self.sse(server).request("tools/list")["result"]["tools"]
        self.assertEqual(listed, [tool for tool in tools if tool["name"] != "get-env"])


class TestSessions(HttpEndToEnd):
    def test_one_session_over_many_connections(self):
        server = self.server(PYTHON_HTTP)
        agent = self.agent({"example": policy_for(PYTHON_HTTP, scope="session")})
        first, second = self.mcp(server), self.mcp(server)
        self.assertNotEqual(first.session, second.session)
        for client in (first, second):  # each session has its own two calls, whatever connection they come over
            for expected in ("allow", "allow", "deny", "deny"):
                client.reconnect()
                answer = client.call("write_note")
                if expected == "allow":
                    self.assert_result(answer)
                else:
                    self.assert_denied(answer, code=LIMITED)
        calls = agent.wait_audit("message", count=8, direction="c2s", method="tools/call")
        self.assertEqual(len({r["session"] for r in calls[:4]}), 1)
        self.assertEqual(len({r["session"] for r in calls}), 2)
        self.assertEqual(len([s for s in agent.sessions() if s["state"] == "enforced"]), 2)
        for number, client in enumerate((first, second), 1):
            identifier = client.session
            self.assertEqual(client.delete().status, 200)
            agent.wait_audit("session_end", count=number)
            client.session = identifier
            self.assertEqual(client.post(client.message("ping")).status, 404)  # the server says so, the agent passes it on

    def test_a_session_of_revision_2026_07_28(self):
        """There is no session on the wire: who calls, and what it calls itself, are the session."""
        server = self.server(PYTHON_HTTP)
        agent = self.agent({"example": policy_for(PYTHON_HTTP, scope="session")})
        for expected in ("allow", "allow", "deny"):
            client = self.mcp(server, version="2026-07-28")
            answer = client.call("write_note")
            if expected == "allow":
                self.assert_result(answer)
            else:
                self.assert_denied(answer, code=LIMITED)
            client.close()
        calls = agent.wait_audit("message", count=3, direction="c2s", method="tools/call")
        self.assertEqual(len({r["session"] for r in calls}), 1)


class TestResumption(HttpEndToEnd):
    def test_a_stream_that_ends_early_is_resumed(self):
        """A POST's answer that comes on the GET with Last-Event-ID (SSE polling, revision 2025-11-25)."""
        server = self.server(PYTHON_HTTP)

        def polled():
            client = self.mcp(server)
            stream = client.post_stream(client.call_message("poll", identifier="p"))
            first = stream.next()
            self.assertEqual((first.data, stream.next()), ("", None))
            with_answer = client.open_stream(last_event=first.identifier)
            return with_answer.answer("p"), with_answer.next()
        direct = polled()
        self.assert_result(direct[0])
        agent = self.agent({"allow": policy(PYTHON_HTTP.match)})
        self.assertEqual(polled(), direct)
        self.assert_judged(agent, "tools/call")

    def test_nothing_lost_and_nothing_twice(self):
        """A standalone stream that is cut and resumed again and again while the server announces."""
        server = self.server(PYTHON_HTTP)

        def seen():
            client, numbers, last = self.mcp(server), [], None
            stream = client.open_stream()
            client.call("announce", {"n": -1})
            last = stream.next().identifier
            for number in range(30):
                client.call("announce", {"n": number})
                if number % 3 == 0:
                    stream.close()
                    stream = client.open_stream(last_event=last)
                if number % 3 != 1:  # leaves some for the next stream to bring
                    while len(numbers) <= number:
                        event = stream.next()
                        last = event.identifier
                        numbers.append(event.json()["params"]["data"]["n"])
            stream.close()
            return numbers
        self.assertEqual(seen(), list(range(30)))
        agent = self.agent({"allow": policy(PYTHON_HTTP.match)})
        self.assertEqual(seen(), list(range(30)))
        self.assert_judged(agent, "tools/call", count=31)


class TestLongLivedStreams(HttpEndToEnd):
    SPEC = CPP_HTTP.with_options("--tick", "20")

    def test_through_start_and_stop_of_the_agent(self):
        """50 streams of numbered events, resumed when they are cut: each sees every number once."""
        server = self.server(self.SPEC)
        stop, failures, progress = threading.Event(), [], [0] * 50

        def follow(which):
            last = None
            try:
                while not stop.is_set():
                    try:
                        connection = HttpConnection(server.host, server.port)
                        fields = [("Accept", "text/event-stream"), *([("Last-Event-ID", str(last))] if last is not None else [])]
                        connection.send(make_request("GET", "/mcp", fields))
                        stream = EventStream(connection, connection.read_head())
                    except (EOFError, ConnectionError):
                        continue  # cut before it began; nothing was missed
                    while not stop.is_set() and (event := stream.next()) is not None:
                        number = int(event.identifier)
                        if last is not None and number != last + 1:
                            raise AssertionError(f"{number} after {last}")
                        self.assertEqual(event.json()["params"]["data"], number)
                        last = number
                        progress[which] += 1
                    stream.close()
            except BaseException as error:  # reported by the test's own thread
                failures.append(error)
        threads = [threading.Thread(target=follow, args=(n,)) for n in range(50)]
        for thread in threads:
            thread.start()
        try:
            def advance(what):
                before = list(progress)
                wait_for(lambda: failures or all(now > then + 20 for now, then in zip(progress, before)), what)
            for _ in range(2):
                advance("events without the agent")
                agent = self.agent({"example": policy(CPP_HTTP.match, denied="delete_note")})
                self.assert_denied(self.mcp(server).call("delete_note"))
                advance("events with the agent")
                self.stop_agent(agent)
        finally:
            stop.set()
            for thread in threads:
                thread.join(60)
        self.assertEqual(failures, [])

    def test_streams_that_begin_while_governed(self):
        server = self.server(self.SPEC)
        agent = self.agent({"example": policy(CPP_HTTP.match, denied="delete_note")})
        client = self.mcp(server)
        streams = [client.open_stream() for _ in range(20)]
        for stream in streams:
            numbers = [int(stream.next().identifier) for _ in range(50)]
            self.assertEqual(numbers, list(range(numbers[0], numbers[0] + 50)))
        self.assert_denied(client.call("delete_note"))
        for stream in streams:
            stream.close()
        self.stop_agent(agent)


if __name__ == "__main__":
    main()
