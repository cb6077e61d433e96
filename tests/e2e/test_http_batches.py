"""Arrays of messages: the TypeScript SDK's servers execute them under every revision, so each element is judged."""
from governed_http import *  # noqa: F403
from governed_http import EVERYTHING_HTTP, LIMITED, PYTHON_HTTP, HttpEndToEnd, comparable, events_of, json, main, policy


def call(identifier, tool, **arguments):
    return {"jsonrpc": "2.0", "id": identifier, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}


NOTE = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 1}}
DENIED_NOTE = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "delete_note", "arguments": {"a": "batch-mark"}}}


class TestBatches(HttpEndToEnd):
    def test_an_allowed_array_passes_whole(self):
        for spec, arguments in ((EVERYTHING_HTTP, {"message": "a"}), (PYTHON_HTTP, {"text": "a"})):
            with self.case(server=spec.name):
                server = self.server(spec)
                batch = [call(1, "echo", **arguments), NOTE, {"jsonrpc": "2.0", "id": "two", "method": "ping"},
                         call(3, "echo", **arguments)]

                def answers(client):
                    response = client.post(batch)
                    self.assertEqual(response.status, 200)
                    if response.field("Content-Type").startswith("text/event-stream"):
                        return sorted((e.json() for e in client_events(response)), key=lambda m: str(m["id"]))
                    return response.json()
                direct = answers(self.mcp(server, version="2025-03-26"))
                self.assertEqual(len(direct), 3)
                agent = self.agent({"allow": policy(spec.match)})
                self.assertEqual(answers(self.mcp(server, version="2025-03-26")), direct)
                self.assert_judged(agent, "tools/call", count=2)
                self.assert_judged(agent, "ping")
                self.stop_agent(agent)

    def test_one_denied_element_refuses_the_array(self):
        """Every request in it is answered; nothing of it reaches the server; and the others are not counted."""
        server = self.server(PYTHON_HTTP, logged=True)
        batch = [call(1, "echo", text="batch-mark"), call("d", "delete_note"), NOTE, call(3, "write_note")]
        response = self.mcp(server).post(batch)
        self.assertEqual(len(response.json()), 3)
        self.assert_received(server, b"batch-mark")
        before = len(server.received())
        self.agent({"example": policy(PYTHON_HTTP.match, denied="delete_note", limited="write_note")})
        client = self.mcp(server, version="2025-03-26")
        response = client.post(batch)
        self.assertEqual(response.status, 200)
        self.assertEqual(response.field("Content-Type").split(";")[0], "application/json")
        answers = {answer["id"]: answer for answer in response.json()}
        self.assertEqual(list(answers), [1, "d", 3])
        self.assert_denied(answers["d"], rule="/tools/delete_note/deny_if")
        for identifier in (1, 3):
            answer = answers[identifier]
            self.assertTrue("error" in answer or answer["result"]["isError"], answer)
        self.assertNotIn(b"batch-mark", server.received()[before:])
        for _ in range(2):
            self.assert_result(client.call("write_note"))
        self.assert_denied(client.call("write_note"), code=LIMITED)

    def test_an_array_over_a_limit(self):
        """Three calls where two are allowed: none happens, and the two are still there."""
        server = self.server(PYTHON_HTTP, logged=True)
        batch = [call(n, "write_note", mark="limit-mark") for n in range(3)]
        self.assertEqual(len(self.mcp(server).post(batch).json()), 3)
        before = len(server.received())
        self.agent({"example": policy(PYTHON_HTTP.match, limited="write_note")})
        client = self.mcp(server)
        answers = client.post(batch).json()
        self.assertEqual([answer["id"] for answer in answers], [0, 1, 2])
        self.assertEqual(answers[2]["result"]["_meta"]["io.callgate/decision"]["code"], LIMITED)
        self.assertNotIn(b"limit-mark", server.received()[before:])
        for _ in range(2):
            self.assert_result(client.call("write_note"))
        self.assert_denied(client.call("write_note"), code=LIMITED)

    def test_notifications_only(self):
        server = self.server(PYTHON_HTTP, logged=True)
        self.assertEqual(self.mcp(server).post([NOTE, DENIED_NOTE]).status, 202)
        self.assert_received(server, b"batch-mark")
        before = len(server.received())
        agent = self.agent({"example": policy(PYTHON_HTTP.match, denied="delete_note")})
        client = self.mcp(server)
        response = client.post([NOTE, DENIED_NOTE])
        self.assertEqual((response.status, response.body), (202, b""))
        self.assert_result(client.call("echo", {"text": "after"}))
        self.assertNotIn(b"batch-mark", server.received()[before:])
        agent.wait_audit("message", direction="c2s", kind="notification", decision="deny")

    def test_what_is_no_message_refuses_the_array(self):
        server = self.server(PYTHON_HTTP, logged=True)
        agent = self.agent({"allow": policy(PYTHON_HTTP.match, denied="delete_note")})
        mark = call(1, "echo", text="odd-mark")
        for number, batch in enumerate((
                [], [mark, 5], [mark, [mark]], [mark, None], [mark, {}],
                b'[%s,]' % json.dumps(mark).encode(), b'[%s' % json.dumps(mark).encode(), b'[%s] x' % json.dumps(mark).encode(),
                b'[%s,{"jsonrpc":"2.0","id":2,"method":"ping","method":"tools/call"}]' % json.dumps(mark).encode())):
            with self.subTest(number=number):
                client = self.mcp(server)
                before = len(server.received())
                response = client.post(batch if isinstance(batch, bytes) else json.dumps(batch).encode())
                self.assertIn(response.status, (200, 400), response.body)
                if response.status == 200:
                    answers = response.json()
                    self.assertTrue(all("error" in a or a["result"]["isError"] for a in (answers if isinstance(answers, list) else [answers])))
                self.assertEqual(server.received()[before:], b"")
                client.close()
        self.assertGreaterEqual(agent.status()["frames"]["refused"], 9)

    def test_the_same_bytes_pass(self):
        server = self.server(PYTHON_HTTP, logged=True)
        batch = b'[ {"jsonrpc":"2.0","id":1,"method":"ping"}\n,\t{"id":2,"jsonrpc":"2.0","method":"\\u0070ing"} ]'
        direct = self.mcp(server).post(batch)
        before = len(server.received())
        agent = self.agent({"allow": policy(PYTHON_HTTP.match)})
        self.assertEqual(comparable(self.mcp(server).post(batch)), comparable(direct))
        self.assertIn(batch, server.received()[before:])
        self.assert_judged(agent, "ping", count=2)


def client_events(response):
    return [event for event in events_of(response.body) if event.data]


if __name__ == "__main__":
    main()
