"""Calls that a human must approve: asked for, decided with the CLI, let through once, over both transports."""
import hashlib
import hmac
import http.server
import os
import queue
import subprocess
import threading

from governed_http import *  # noqa: F403
from governed_http import (BINARY, NOTES_PY, PYTHON_HTTP, EndToEnd, HttpEndToEnd, SdkHttpClient, cpp_server, echoed, json, main, policy,
                           wait_for)
from callgate_harness.base import ANSWER_SECONDS
APPROVAL = -32003
RULE = "/tools/echo/action"


def approving(match, **more):
    tool = {"action": "require_approval", **more.pop("tool", {})}
    return policy(match, tools={"echo": tool}, **more)


class Approving:
    """What a client sees and what a human does, whatever the transport."""

    def assert_asked(self, answer, rule=RULE):
        error = answer["error"]
        self.assertEqual(error["code"], APPROVAL, answer)
        data = error["data"]
        self.assertEqual((data["rule"], data["tool"]), (rule, "echo"))
        self.assertRegex(data["approval_id"], "^[0-9a-z]{10}$")
        self.assertEqual(data["approve"], "callgate approvals approve " + data["approval_id"])
        self.assertRegex(data["expires_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertTrue(error["message"].startswith("[APPROVAL NEEDED] "), error)
        self.assertIn(data["approve"], error["message"])
        return data["approval_id"]

    def approvals(self, agent):
        return json.loads(agent.command("approvals", "list", "--all", "--json").stdout)["approvals"]

    def check_flow(self, agent, client):
        """Asked for once, approved, let through once, and recorded."""
        first = self.assert_asked(client.call("echo", {"text": "a", "n": 1}))
        self.assertEqual(self.assert_asked(client.call("echo", {"text": "a", "n": 1})), first)
        other = self.assert_asked(client.call("echo", {"text": "b"}))
        self.assertNotEqual(other, first)
        self.assertEqual(agent.status()["approvals"]["pending"], 2)
        agent.command("approvals", "approve", first, "--reason", "ticket 7")
        # Members in another order are the same call; another value is not.
        self.assertEqual(echoed(client.call("echo", {"n": 1.0, "text": "a"})), "a")
        again = self.assert_asked(client.call("echo", {"text": "a", "n": 1}))
        self.assertNotEqual(again, first)
        agent.command("approvals", "deny", other, "--reason", "not on a Friday")
        decision = self.assert_denied(client.call("echo", {"text": "b"}))
        self.assertEqual((decision["rule"], decision["approval_id"]), (RULE, other))
        requested = agent.wait_audit("approval_requested", count=3)
        self.assertEqual([r["approval"] for r in requested], [first, other, again])
        self.assertEqual((requested[0]["tool"], requested[0]["policy"]), ("echo", "p"))
        approved = agent.wait_audit("approval_approved")[0]
        self.assertEqual((approved["approval"], approved["reason"], approved["decided_by"]["uid"], approved["decided_by"]["user"]),
                         (first, "ticket 7", 0, "root"))
        self.assertEqual([r["approval"] for r in agent.wait_audit("approval_used")], [first])
        self.assertEqual([r["approval"] for r in agent.wait_audit("approval_denied")], [other])
        calls = agent.wait_audit("message", count=6, direction="c2s", tool="echo")
        self.assertEqual([(r["decision"], r["approval"]) for r in calls],
                         [("deny", first), ("deny", first), ("deny", other), ("allow", first), ("deny", again), ("deny", other)])


class TestStdio(Approving, EndToEnd):
    def begin(self, server=NOTES_PY):
        client = self.client(server.command)
        client.initialize()
        return client

    def kill(self, agent):
        agent.process.kill()
        agent.process.wait()

    def again(self, first, document):
        return self.agent({"p": document}, config={"state_directory": str(first.directory / "state")})

    def test_approved_once(self):
        agent = self.agent({"p": approving(NOTES_PY.match)})
        client = self.begin()
        self.check_flow(agent, client)
        client.shutdown()

    def test_a_real_client(self):
        agent = self.agent({"p": approving(NOTES_PY.match)})
        call = {"call": {"name": "echo", "arguments": {"text": "sdk"}}}
        client = self.sdk_client(NOTES_PY.command, [call, {"wait": True}, call, call])
        self.assertIn("connected", client.event())
        error = client.event()["error"]
        self.assertEqual(error["code"], APPROVAL)
        agent.command("approvals", "approve", error["data"]["approval_id"])
        client.go_on()
        events = [e for e in client.finish() if e != {"result": None}]
        self.assertEqual(events[0]["result"]["content"][0]["text"].removeprefix("Echo: "), "sdk")
        self.assertEqual(events[1]["error"]["code"], APPROVAL)

    def test_simultaneous_repeats(self):
        """Many sessions of one grant repeat the approved call at once: one of them passes."""
        server = cpp_server()
        agent = self.agent({"p": approving(server.match)})
        clients = [self.begin(server) for _ in range(16)]
        for _ in range(3):
            identifier = self.assert_asked(clients[0].call("echo", {"text": "once"}))
            agent.command("approvals", "approve", identifier)
            calls = [client.post("tools/call", {"name": "echo", "arguments": {"text": "once"}}) for client in clients]
            answers = [client.answer(call) for client, call in zip(clients, calls)]
            self.assertEqual(sum("result" in answer for answer in answers), 1)
            asked = {self.assert_asked(answer) for answer in answers if "error" in answer}
            self.assertEqual(len(asked), 1)
            agent.command("approvals", "approve", asked.pop())
            self.assert_result(clients[1].call("echo", {"text": "once"}))
        for client in clients:
            client.shutdown()

    def test_a_killed_agent_neither_forgets_nor_repeats(self):
        document = approving(NOTES_PY.match)
        agent = self.agent({"p": document})
        client = self.begin()
        pending = self.assert_asked(client.call("echo", {"text": "pending"}))
        approved = self.assert_asked(client.call("echo", {"text": "approved"}))
        used = self.assert_asked(client.call("echo", {"text": "used"}))
        for identifier in (approved, used):
            agent.command("approvals", "approve", identifier)
        self.assert_result(client.call("echo", {"text": "used"}))
        self.kill(agent)
        agent = self.again(agent, document)
        self.assertEqual({a["id"]: a["state"] for a in self.approvals(agent)}, {pending: "pending", approved: "approved", used: "used"})
        client = self.begin()
        self.assertEqual(self.assert_asked(client.call("echo", {"text": "pending"})), pending)
        self.assertNotEqual(self.assert_asked(client.call("echo", {"text": "used"})), used)
        self.assert_result(client.call("echo", {"text": "approved"}))
        self.kill(agent)
        agent = self.again(agent, document)
        client = self.begin()
        self.assertNotEqual(self.assert_asked(client.call("echo", {"text": "approved"})), approved)
        client.shutdown()

    def test_killed_at_any_moment_it_passes_at_most_once(self):
        """The agent dies while the approved call is on its way; whatever the server saw, it saw once."""
        document = approving(NOTES_PY.match)
        agent = self.agent({"p": document})
        client = self.begin()
        identifier = self.assert_asked(client.call("echo", {"text": "once"}))
        agent.command("approvals", "approve", identifier)
        client.post("tools/call", {"name": "echo", "arguments": {"text": "once"}})
        self.kill(agent)
        passed = b"Echo" in b"".join(client.read_rest()) or b"once" in b"".join(client.lines)
        agent = self.again(agent, document)
        client = self.begin()
        answer = client.call("echo", {"text": "once"})
        if passed:
            self.assertNotEqual(self.assert_asked(answer), identifier)
        elif "error" in answer:
            self.assertNotEqual(self.assert_asked(answer), identifier)
        else:
            self.assertEqual(len(agent.wait_audit("approval_used")), 1)
        client.shutdown()

    def test_limits_do_not_use_it_up(self):
        agent = self.agent({"p": approving(NOTES_PY.match, tool={"limits": [{"counter": "c", "window": 31622400, "max": 0}]})})
        client = self.begin()
        identifier = self.assert_asked(client.call("echo", {"text": "a"}))
        agent.command("approvals", "approve", identifier)
        for _ in range(2):
            result = client.call("echo", {"text": "a"})["result"]
            self.assertEqual(result["_meta"]["io.callgate/decision"]["rule"], "/tools/echo/limits/c")
        self.assertEqual([a["state"] for a in self.approvals(agent)], ["approved"])
        client.shutdown()

    def test_a_call_waits_for_the_decision(self):
        agent = self.agent({"p": approving(NOTES_PY.match, tool={"hold_ms": 60000})})
        client = self.begin()
        calls = [client.post("tools/call", {"name": "echo", "arguments": {"text": text}}) for text in ("a", "b", "c")]
        client.request("ping")  # it passes them
        listed = wait_for(lambda: (found := self.approvals(agent)) and len(found) == 3 and found, "three requests")
        a, b, c = (each["id"] for each in listed)
        client.notify("notifications/cancelled", {"requestId": calls[1]})
        agent.wait_audit("message", direction="c2s", tool="echo", rule="(cancelled while it waited)")
        agent.command("approvals", "approve", b)  # too late
        agent.command("approvals", "approve", c)
        self.assertEqual(echoed(client.answer(calls[2])), "c")
        agent.command("approvals", "deny", a, "--reason", "no")
        answer = client.answer(calls[0])
        self.assert_denied(answer)
        self.assertIn(f"A human has denied it (approval {a}): no.", answer["result"]["content"][0]["text"])
        self.assertEqual([r["approval"] for r in agent.audit("approval_used")], [c])
        client.shutdown()

    def test_a_decision_that_does_not_come(self):
        self.agent({"p": approving(NOTES_PY.match, tool={"hold_ms": 300})})
        client = self.begin()
        self.assert_asked(client.call("echo", {"text": "a"}))
        client.shutdown()

    def test_expiry(self):
        agent = self.agent({"p": approving(NOTES_PY.match, approval_timeout="1s")})
        client = self.begin()
        first = self.assert_asked(client.call("echo", {"text": "a"}))
        self.assertEqual([r["approval"] for r in agent.wait_audit("approval_expired")], [first])
        self.assertEqual(self.approvals(agent), [])
        self.assertNotEqual(self.assert_asked(client.call("echo", {"text": "a"})), first)
        client.shutdown()

    def test_a_window(self):
        agent = self.agent({"p": approving(NOTES_PY.match, approvals={"dedupe_window": "10m"})})
        client = self.begin()
        agent.command("approvals", "approve", self.assert_asked(client.call("echo", {"text": "a"})))
        for _ in range(3):
            self.assert_result(client.call("echo", {"text": "a"}))
        self.assert_asked(client.call("echo", {"text": "b"}))
        client.shutdown()

    def test_a_window_is_ended(self):
        agent = self.agent({"p": approving(NOTES_PY.match, approvals={"dedupe_window": "10m"})})
        client = self.begin()
        identifier = self.assert_asked(client.call("echo", {"text": "a"}))
        self.assertIn("every call that says the same", agent.command("approvals", "approve", identifier).stdout)
        for _ in range(2):
            self.assert_result(client.call("echo", {"text": "a"}))
        self.assertIn("asked for anew", agent.command("approvals", "revoke", identifier, "--reason", "enough").stdout)
        self.assertNotEqual(self.assert_asked(client.call("echo", {"text": "a"})), identifier)
        revoked = agent.wait_audit("approval_revoked")[0]
        self.assertEqual((revoked["approval"], revoked["reason"], revoked["decided_by"]["user"]), (identifier, "enough", "root"))
        feed = agent.command("tail", "--no-follow", "-n", "1000").stdout
        line = [line for line in feed.splitlines() if "approval_revoked" in line][0]
        for word in ("echo", identifier, "for ", "by root", "enough"):
            self.assertIn(word, line)
        client.shutdown()

    def test_what_else_is_approved_with_it(self):
        """The server, and whatever stands beside the arguments."""
        agent = self.agent({"p": approving(NOTES_PY.match)})
        client = self.begin()
        params = {"name": "echo", "arguments": {"text": "a"}, "_meta": {"tenant": "test", "progressToken": 1}}
        identifier = self.assert_asked(client.request("tools/call", params))
        shown = agent.command("approvals", "show", identifier).stdout
        self.assertIn('beside them    {"_meta":{"tenant":"test"}}', shown)
        self.assertRegex(shown, r"runs as +user root \(uid 0\), .*python")
        agent.command("approvals", "approve", identifier)
        for other in ({"tenant": "production"}, None):
            changed = {**params, "_meta": other} if other else {k: v for k, v in params.items() if k != "_meta"}
            self.assert_asked(client.request("tools/call", changed))
        # Another server of the same policy, by the same client.
        elsewhere = self.client((*NOTES_PY.command[:-1], "8"))
        elsewhere.initialize()
        self.assertNotEqual(self.assert_asked(elsewhere.request("tools/call", params)), identifier)
        self.assert_result(client.request("tools/call", {**params, "_meta": {"tenant": "test", "progressToken": 2}}))
        for each in (client, elsewhere):
            each.shutdown()

    def test_who_asks_is_said_by_the_kernel(self):
        agent = self.agent({"p": approving(NOTES_PY.match)})
        client = self.client(NOTES_PY.command)
        name = "root, /usr/bin/trusted" + " " * 2000
        client.request("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": name, "version": "1"}})
        identifier = self.assert_asked(client.call("echo", {"text": "a"}))
        record = json.loads(agent.command("approvals", "show", identifier, "--json").stdout)
        self.assertRegex(record["client"], r"^user root \(uid 0\), pid \d+, (unit .*, )?(container .*, )?/.*python")
        self.assertTrue(record["client_claim"].startswith("root, /usr/bin/trusted"))
        shown = agent.command("approvals").stdout.splitlines()
        asked = next(i for i, line in enumerate(shown) if "asked by user root" in line)
        self.assertIn('says it is "root, /usr/bin/trusted', shown[asked + 1])
        client.shutdown()

    def test_a_changed_policy_ends_them(self):
        agent = self.agent({"p": approving(NOTES_PY.match)})
        client = self.begin()
        first = self.assert_asked(client.call("echo", {"text": "a"}))
        path = agent.config_directory / "policies.d" / "p.json"
        path.write_text(json.dumps(approving(NOTES_PY.match, description="another")))
        self.assertEqual(agent.command("reload").returncode, 0)
        expired = agent.wait_audit("approval_expired")[0]
        self.assertEqual((expired["approval"], expired["cause"]), (first, "the policy has changed"))
        self.assertEqual(self.approvals(agent), [])
        self.assertNotEqual(self.assert_asked(client.call("echo", {"text": "a"})), first)
        client.shutdown()

    def test_the_list_is_of_what_waits(self):
        agent = self.agent({"p": approving(NOTES_PY.match)})
        client = self.begin()
        denied, waiting = (self.assert_asked(client.call("echo", {"text": text})) for text in "ab")
        agent.command("approvals", "deny", denied)
        for words in ((), ("list",)):
            shown = agent.command("approvals", *words).stdout
            self.assertIn(waiting, shown)
            self.assertNotIn(denied, shown)
            self.assertIn("1 request decided: callgate approvals list --all", shown)
        self.assertEqual([a["id"] for a in json.loads(agent.command("approvals", "list", "--json").stdout)["approvals"]], [waiting])
        self.assertIn(denied, agent.command("approvals", "--all").stdout)
        client.shutdown()

    def test_shadow_mode_only_says_so(self):
        agent = self.agent({"p": approving(NOTES_PY.match, mode="shadow")})
        client = self.begin()
        self.assert_result(client.call("echo", {"text": "a"}))
        self.assertEqual(agent.wait_audit("message", tool="echo", decision="would_deny")[0]["code"], APPROVAL)
        self.assertEqual(self.approvals(agent), [])
        client.shutdown()

    def test_the_command_line(self):
        agent = self.agent({"p": approving(NOTES_PY.match)})
        client = self.begin()
        self.assertEqual(agent.command("approvals").stdout, "nothing waits for approval\n")
        identifier = self.assert_asked(client.call("echo", {"text": "\x1b[31mred\u202e", "long": "x" * 500}))
        for words in (("list",), ("show", identifier)):
            shown = agent.command("approvals", *words).stdout
            self.assertIn(identifier, shown)
            self.assertNotIn("\x1b", shown)
            self.assertNotIn("\u202e", shown)
        record = json.loads(agent.command("approvals", "show", identifier, "--json").stdout)
        self.assertEqual(json.loads(record["arguments"]), {"text": "\x1b[31mred\u202e", "long": "x" * 500})
        self.assertEqual((record["state"], record["server"], record["tool"]), ("pending", "notes-py", "echo"))
        unknown = agent.command("approvals", "approve", "0123456789", check=False)
        self.assertEqual(unknown.returncode, 1)
        self.assertIn("there is none, or it has expired", unknown.stderr)
        self.assertEqual(agent.command("approvals", "approve", check=False).returncode, 2)
        agent.command("approvals", "approve", identifier)
        twice = agent.command("approvals", "approve", identifier, check=False)
        self.assertEqual(twice.returncode, 1)
        self.assertIn("is approved already, by root", twice.stderr)
        agent.command("approvals", "deny", identifier)  # taken back
        self.assert_denied(client.call("echo", {"text": "\x1b[31mred\u202e", "long": "x" * 500}))
        client.shutdown()
        nobody = subprocess.run([str(BINARY), "approvals", "list", "--control", "/nonexistent/socket"], stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, timeout=ANSWER_SECONDS)
        self.assertEqual(nobody.returncode, 69)
        self.assertIn("is the agent running?", nobody.stderr)

    def test_a_damaged_file_is_not_started_with(self):
        agent = self.agent({"p": approving(NOTES_PY.match)})
        self.stop_agent(agent)
        file = agent.directory / "state" / "state.db"
        file.write_bytes(b"x" * 9000)
        with self.assertRaises(AssertionError):
            self.again(agent, approving(NOTES_PY.match))
        self.assertIn("state.db: is damaged", self._agents[-1].log())
        self.assertEqual(self._agents[-1].process.wait(), 78)
        self.assertEqual(file.read_bytes(), b"x" * 9000)


class TestHttp(Approving, HttpEndToEnd):
    def begin(self, **more):
        server = self.server(PYTHON_HTTP)
        return self.agent({"p": approving(PYTHON_HTTP.match, **more)}), server

    def test_approved_once(self):
        agent, server = self.begin()
        self.check_flow(agent, self.mcp(server))

    def test_a_real_client(self):
        agent, server = self.begin()
        call = {"call": {"name": "echo", "arguments": {"text": "sdk"}}}
        client = SdkHttpClient(server.url, [call, {"wait": True}, call, call], stderr=self._stderr)
        self.addCleanup(client.kill)
        self.assertIn("connected", client.event())
        error = client.event()["error"]
        self.assertEqual(error["code"], APPROVAL)
        agent.command("approvals", "approve", error["data"]["approval_id"])
        client.go_on()
        events = [e for e in client.finish() if e != {"result": None}]
        self.assertIn("sdk", events[0]["result"]["content"][0]["text"])
        self.assertEqual(events[1]["error"]["code"], APPROVAL)

    def test_a_call_waits_for_the_decision(self):
        agent, server = self.begin(tool={"hold_ms": 60000})
        client, other = self.mcp(server), self.mcp(server)
        message = client.call_message("echo", {"text": "held"})
        client.connection.send(client.encode(message))
        identifier = wait_for(lambda: self.approvals(agent), "a request")[0]["id"]
        self.assertIn("result", other.request("tools/list"))
        agent.command("approvals", "approve", identifier)
        answer = client.answer_in(client.connection.read_response("POST"), message["id"])
        self.assertIn("held", answer["result"]["content"][0]["text"])

    def test_a_held_call_is_cancelled(self):
        agent, server = self.begin(tool={"hold_ms": 60000})
        client = self.mcp(server)
        message = client.call_message("echo", {"text": "held"})
        client.connection.send(client.encode(message))
        identifier = wait_for(lambda: self.approvals(agent), "a request")[0]["id"]
        second = self.connect(server)
        body = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": message["id"]}}
        self.assertEqual(second.request("POST", client.path, client.fields(body), json.dumps(body).encode()).status, 202)
        agent.wait_audit("message", direction="c2s", tool="echo", rule="(cancelled while it waited)")
        agent.command("approvals", "approve", identifier)
        self.assertEqual(self.approvals(agent)[0]["state"], "approved")

    def test_simultaneous_repeats(self):
        agent, server = self.begin()
        clients = [self.mcp(server) for _ in range(8)]
        agent.command("approvals", "approve", self.assert_asked(clients[0].call("echo", {"text": "once"})))
        answers = []
        threads = [threading.Thread(target=lambda each=each: answers.append(each.call("echo", {"text": "once"}))) for each in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(answers), len(clients))
        self.assertEqual(sum("result" in answer for answer in answers), 1)


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.put((dict(self.headers), body))
        status = self.server.statuses.pop(0) if self.server.statuses else 204
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class TestWebhook(Approving, EndToEnd):
    def hook(self, *statuses):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
        server.seen, server.statuses = queue.Queue(), list(statuses)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server, f"http://127.0.0.1:{server.server_port}/hook"

    def secret(self):
        path = self.directory() / "secret"
        path.write_text("a secret that both sides know\n")
        path.chmod(0o600)
        return path

    def verified(self, server, secret):
        fields, body = server.seen.get(timeout=ANSWER_SECONDS)
        time, version = (part.split("=", 1) for part in fields["X-Callgate-Signature"].split(","))
        self.assertEqual((time[0], version[0]), ("t", "v1"))
        expected = hmac.new(secret, f"{time[1]}.".encode() + body, hashlib.sha256).hexdigest()
        self.assertTrue(hmac.compare_digest(expected, version[1]))
        event = json.loads(body)
        self.assertEqual(event["event"], fields["X-Callgate-Event"])
        return event

    def test_events_are_signed(self):
        server, url = self.hook(500)  # the first is tried again
        secret = self.secret()
        agent = self.agent({"p": approving(NOTES_PY.match)}, config={"approvals": {"webhook": {"url": url, "secret_file": str(secret)}}})
        client = self.client(NOTES_PY.command)
        client.initialize()
        identifier = self.assert_asked(client.call("echo", {"text": "a value of its own"}))
        for _ in range(2):
            event = self.verified(server, b"a secret that both sides know")
            self.assertEqual((event["event"], event["approval"]["id"]), ("approval_requested", identifier))
            self.assertEqual(event["approval"]["argument_keys"], ["text"])
            self.assertNotIn("a value of its own", json.dumps(event))
        agent.command("approvals", "approve", identifier)
        event = self.verified(server, b"a secret that both sides know")
        self.assertEqual((event["event"], event["approval"]["decided_by"]["user"]), ("approval_approved", "root"))
        self.assert_result(client.call("echo", {"text": "a value of its own"}))
        self.assertEqual(self.verified(server, b"a secret that both sides know")["event"], "approval_used")
        figures = wait_for(lambda: (found := agent.status()["approvals"]["webhook"])["delivered"] == 3 and found, "three deliveries")
        self.assertEqual((figures["retried"], figures["failed"]), (1, 0))
        client.shutdown()

    def test_a_policys_own_with_a_secret_of_the_hosts(self):
        server, url = self.hook()
        agent = self.agent({"p": approving(NOTES_PY.match, approvals={"notify": {"webhook": {"url": url}}})})
        client = self.client(NOTES_PY.command)
        client.initialize()
        self.assert_asked(client.call("echo", {"text": "a"}))
        made = agent.directory / "state" / "webhook.secret"
        self.assertEqual(self.verified(server, wait_for(lambda: made.exists() and made.read_bytes().strip(), "the secret"))["event"], "approval_requested")
        self.assertEqual(os.stat(made).st_mode & 0o777, 0o600)
        client.shutdown()

    def test_nobody_answers_and_nobody_waits(self):
        agent = self.agent({"p": approving(NOTES_PY.match)}, config={"approvals": {"webhook": {"url": "http://127.0.0.1:1/none"}}})
        client = self.client(NOTES_PY.command)
        client.initialize()
        identifier = self.assert_asked(client.call("echo", {"text": "a"}))
        agent.command("approvals", "approve", identifier)
        self.assert_result(client.call("echo", {"text": "a"}))
        wait_for(lambda: agent.status()["approvals"]["webhook"]["last_error"], "an error in status")
        client.shutdown()

    def test_a_secret_that_others_can_read_is_refused(self):
        secret = self.secret()
        secret.chmod(0o644)
        with self.assertRaises(AssertionError):
            self.agent({}, config={"approvals": {"webhook": {"url": "https://example.invalid/", "secret_file": str(secret)}}})
        self.assertIn("chmod 0600", self._agents[-1].log())
        self.assertEqual(self._agents[-1].process.wait(), 78)


if __name__ == "__main__":
    main()
