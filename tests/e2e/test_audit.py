"""What the audit record says of a call: everything that a security team asks, and nothing of the arguments' values."""
import datetime

from governed import *  # noqa: F403
from governed import NOTES_PY, EndToEnd, main, os, policy, time, wait_for

LIMIT = {"counter": "writes", "window": "day", "max": 1, "scope": "session"}


class TestRecords(EndToEnd):
    def records(self):
        """Those of an allowed call, one over its limit, a denied one, and one that the server knows no tool for."""
        tools = {"write_note": {"limits": [LIMIT]}, "delete_note": {"deny_if": [{"conditions": [], "on_deny": "Never."}]}}
        before = time.time_ns()
        agent = self.agent({"notes": policy(NOTES_PY.match, tools=tools)})
        client = self.client(NOTES_PY.command)
        client.initialize()
        for number, tool in enumerate(("write_note", "write_note", "delete_note")):
            client.call(tool, {"text": "a secret", "tags": ["one"]}, identifier=f"call {number}")
        client.call("no_such_tool", {"text": "a secret", "tags": ["one"]})
        client.shutdown()
        start = agent.wait_audit("session_start")[0]
        end = agent.wait_audit("session_end")[0]
        after = time.time_ns()
        for record in agent.audit():
            moment = datetime.datetime.fromisoformat(record["time"][:19] + "+00:00").timestamp()
            self.assertTrue(before // 10**9 <= moment <= after // 10**9, record["time"])
            self.assertRegex(record["time"], r"\.\d{9}Z$")
        self.assertNotIn("a secret", agent.audit_path.read_text())
        calls = agent.audit("message", direction="c2s", method="tools/call")
        answers = {r["answers"]: r for r in agent.audit("message", direction="s2c", kind="response")}
        return client, start, end, calls, answers

    def test_every_member(self):
        client, start, end, calls, answers = self.records()
        identifiers = [record["id"] for record in calls]
        self.assertEqual(sorted(set(identifiers)), identifiers)
        for record in calls:
            self.assertEqual(record["session"], start["session"])
            server, peer = record["server"], record["peer"]
            self.assertEqual((server["package"], server["pid"], server["uid"]), ("notes-py", client.pid, 0))
            self.assertIn("server.py", server["command"])
            self.assertTrue(os.path.isabs(server["exe"]))
            self.assertEqual((peer["pid"], peer["uid"]), (os.getpid(), 0))
            self.assertEqual(peer["exe"], os.path.realpath("/proc/self/exe"))
            self.assertIn("cgroup", peer)
            self.assertTrue(peer["parents"][-1].endswith("(1)"), peer)
            self.assertEqual(record["argument_keys"], ["text", "tags"])
            self.assertEqual(record["arguments_hash"], calls[0]["arguments_hash"])  # equal calls can be told equal
            self.assertGreater(record["bytes"], 50)
            self.assertGreaterEqual(record["queue_ns"], 0)
            self.assertGreater(record["judge_ns"], 0)
            self.assertEqual((record["policy"], record["mode"]), ("notes", "enforce"))
            self.assertIn("policy_revision", record)
            self.assertIn("grant", record)
        allowed, limited, denied, unknown = calls
        self.assertEqual([r["tool"] for r in calls], ["write_note", "write_note", "delete_note", "no_such_tool"])
        self.assertEqual([r["decision"] for r in calls], ["allow", "deny", "deny", "allow"])
        counter = allowed["counters"][0]
        self.assertEqual((counter["name"], counter["count"], counter["max"]), ("writes", 1, 1))
        self.assertEqual(limited["rule"], "/tools/write_note/limits/writes")
        self.assertGreater(limited["retry_after_ms"], 0)
        self.assertEqual((denied["rule"], denied["reason"], denied["code"]), ("/tools/delete_note/deny_if", "Never.", -31403))
        self.assertEqual([r["rpc_id"] for r in calls], ["call 0", "call 1", "call 2", client.next_id - 1])
        self.assertEqual(answers[allowed["id"]]["outcome"], "ok")
        self.assertIn(answers[unknown["id"]]["outcome"], ("error", "tool_error"))
        for record in (allowed, unknown):
            self.assertGreater(answers[record["id"]]["latency_ns"], 0)
        self.assertTrue({limited["id"], denied["id"]}.isdisjoint(answers))  # those never reached the server
        self.assertEqual(end["frames"]["denied"], 2)
        self.assertEqual(end["reason"], "ended")

    def test_a_file_that_takes_nothing_is_not_in_the_way(self):
        """Every record is lost, and counted; the calls do not wait."""
        agent = self.agent({"notes": policy(NOTES_PY.match, denied="delete_note")}, audit="/dev/full")
        client = self.client(NOTES_PY.command)
        client.initialize()
        self.assert_denied(client.call("delete_note"))
        self.assert_result(client.call("echo", {"text": "x"}))
        self.assertEqual(client.shutdown(), 7)
        wait_for(lambda: agent.sessions() == [], "the session's end")
        wait_for(lambda: agent.status()["audit"]["lost"] >= 8, "the loss being counted")
        self.assertEqual(agent.status()["audit"]["written"], 0)
        self.assertEqual(agent.stop(), 0)


if __name__ == "__main__":
    main()
