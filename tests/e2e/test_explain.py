"""callgate explain, test and check: what they print and how they end, on files alone."""
import subprocess

from governed import *  # noqa: F403
from governed import BINARY, NOTES_PY, ROOT, EndToEnd, json, main, os, policy

POLICY = {"version": "1", "default": "deny", "hide": ["gone"],
          "aliases": {"bill": "charge"},
          "tools": {"charge": {"deny_if": [{"conditions": [{"path": "args.amount", "op": "gt", "value": 10000},
                                                           {"path": "args.to", "op": "neq", "value": "bob"}], "on_deny": "Too much."}],
                               "limits": [{"counter": "c", "window": "minute", "max": 2}]},
                    "wire": {"action": "require_approval"}}}


def callgate(*words, stdin=b""):
    done = subprocess.run([str(BINARY), *map(str, words)], input=stdin, capture_output=True, timeout=60)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


class Files(EndToEnd):
    def file(self, name, content):
        if not hasattr(self, "_files"):
            self._files = self.directory()
        path = self._files / name
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
        path.chmod(0o644)
        return path


class TestExplain(Files):
    def explain(self, *words, policy_document=POLICY, **more):
        code, out, err = callgate("explain", self.file("p.json", policy_document), "--json", *words, **more)
        return code, json.loads(out) if out else err

    def test_decisions(self):
        for words, code, decision, rule in (
                (("--tool", "charge", "--args", '{"amount": 1}'), 0, "allow", None),
                (("--tool", "charge"), 0, "allow", None),
                (("--tool", "charge", "--args", '{"amount": 10001, "to": "eve"}'), 1, "deny", "/tools/charge/deny_if/args.amount-gt"),
                (("--tool", "bill", "--args", '{"amount": 1e5, "to": "eve"}'), 1, "deny", "/tools/charge/deny_if/args.amount-gt"),
                (("--tool", "gone"), 1, "deny", "(hidden)"),
                (("--tool", "other"), 1, "deny", "(default deny)"),
                (("--tool", "wire"), 1, "approval", "/tools/wire/action"),
                (("--method", "resources/read", "--params", '{"uri": "file:///x"}'), 0, "allow", None),
                (("--method", "tools/batch", "--params", "{}"), 1, "deny", "(default deny)"),
                (("--tool", "charge", "--args", '{"a": 1, "a": 2}'), 1, "refuse", None),
                (("--tool", "charge", "--args", "[]"), 1, "refuse", None)):
            with self.subTest(words=words):
                exit_code, said = self.explain(*words)
                self.assertEqual((exit_code, said["decision"], said.get("rule")), (code, decision, rule))
                decides = [step for step in said["steps"] if step["decides"]]
                self.assertEqual(len(decides), 0 if decision in ("allow", "refuse") else 1, said)

    def test_steps(self):
        _, said = self.explain("--tool", "bill", "--args", '{"amount": 20000}')
        self.assertEqual([step["at"] for step in said["steps"]],
                         ["aliases", "hidden", "/tools/charge", "/tools/charge/deny_if/0", "/tools/charge/limits/c"])
        amount, to = said["steps"][3]["conditions"]
        self.assertEqual(amount, {"path": "args.amount", "op": "gt", "value": "10000", "holds": True, "is_there": True})
        self.assertEqual((to["holds"], to["is_there"]), (False, False))
        code, out, _ = callgate("explain", self.file("p.json", POLICY), "--tool", "charge", "--args", '{"amount": 20000}')
        self.assertEqual(code, 0)
        self.assertIn("args.amount gt 10000: holds\n", out)
        self.assertIn('args.to neq "bob": does not hold: nothing is there\n', out)
        self.assertTrue(out.endswith("\nallow\n"), out)

    def test_who_calls(self):
        conditions = [{"path": "peer.uid", "op": "eq", "value": 7}, {"path": "client.name", "op": "eq", "value": "c"},
                      {"path": "annotations.readOnlyHint", "op": "eq", "value": True}]
        document = policy({}, default="deny", tools={"a": {"require": [{"conditions": conditions}]}})
        del document["server"]
        facts = ("--peer-uid", "7", "--client", "c", "--annotations", '{"readOnlyHint": true}')
        self.assertEqual(self.explain("--tool", "a", *facts, policy_document=document)[0], 0)
        for left_out in (0, 2, 4):
            some = facts[:left_out] + facts[left_out + 2:]
            self.assertEqual(self.explain("--tool", "a", *some, policy_document=document)[0], 1)

    def test_a_whole_message(self):
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "gone"}}
        self.assertEqual(self.explain("--call", "-", stdin=json.dumps(message).encode())[1]["rule"], "(hidden)")
        self.assertEqual(self.explain("--call", self.file("call.json", message))[1]["rule"], "(hidden)")
        self.assertEqual(self.explain("--call", "-", stdin=b'{"id":1,"Method":"x"}')[1]["refusal"], "protocol_key_case")

    def test_a_recorded_call(self):
        document = policy(NOTES_PY.match, default="deny", tools={"echo": {"require": [{"conditions": [
            {"path": "peer.uid", "op": "eq", "value": os.getuid()}, {"path": "args.text", "op": "eq", "value": "hello"}]}]}})
        agent = self.agent({"recorded": document})
        client = self.client(NOTES_PY.command)
        client.initialize()
        self.assert_result(client.call("echo", {"text": "hello"}))
        client.shutdown()
        record = agent.wait_audit("message", direction="c2s", method="tools/call")[0]
        words = ("--audit", agent.audit_path, "--id", record["id"])
        self.assertEqual(self.explain(*words, "--args", '{"text": "hello"}', policy_document=document)[0], 0)
        code, out, err = callgate("explain", self.file("p.json", document), *words)
        self.assertEqual(code, 1)
        self.assertIn("no values of arguments", err)
        self.assertIn("args.text-eq", out)
        self.assertEqual(callgate("explain", self.file("p.json", document), "--audit", agent.audit_path, "--id", "none")[0], 2)

    def test_bad_policies_and_bad_usage(self):
        code, said = self.explain("--tool", "a", policy_document={"version": "1"})
        self.assertEqual(code, 78)
        self.assertIn('p.json:1:1: key "default" is missing', said)
        self.assertEqual(callgate("explain", "/nonexistent.json", "--tool", "a")[0], 78)
        self.assertEqual(callgate("explain")[0], 2)
        self.assertEqual(self.explain("--audit", "/nonexistent")[0], 2)

    def test_options_that_do_not_go_together(self):
        path = self.file("p.json", POLICY)
        call = self.file("call.json", {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "charge"}})
        for words in (("--tool", "a", "--method", "b"), ("--tool", "a", "--params", "{}"), ("--args", "{}", "--params", "{}"),
                      ("--method", "prompts/get", "--args", "{}"), ("--call", call, "--tool", "a"), ("--call", call, "--args", "{}"),
                      ("--audit", call, "--id", "x", "--tool", "a"), ("--audit", call, "--id", "x", "--call", call), ("--args", "{}"), ()):
            code, out, err = callgate("explain", path, *words)
            self.assertEqual((code, out), (2, ""), words)
            self.assertTrue(err, words)

    def test_mistakes_in_json_are_said_of_the_option(self):
        path = self.file("p.json", POLICY)
        for words, said in ((("--tool", "charge", "--args", '{"amount": }'), "--args:1:12: "),
                            (("--tool", "charge", "--args", '{"a":1,\n "b":"\\ud800"}'), "--args:2:"),
                            (("--method", "resources/read", "--params", "{7}"), "--params:1:2: "),
                            (("--tool", "charge", "--annotations", "{"), "--annotations:1:")):
            code, out, err = callgate("explain", path, *words)
            self.assertEqual((code, out), (2, ""), words)
            self.assertIn(said, err)
        # What is JSON, and refused in a message.
        code, out, _ = callgate("explain", path, "--tool", "charge", "--args", '{"a":1,"a":2}')
        self.assertEqual(code, 1)
        self.assertRegex(out, r"refuse: .*, at byte \d+ of --args")


class TestTest(Files):
    def run_cases(self, *cases, name="p.test.json"):
        self.file("p.json", POLICY)
        return callgate("test", self.file(name, {"cases": list(cases)}))

    def test_shipped_policies_pass(self):
        files = sorted((ROOT / "policies").rglob("*.test.json"))
        self.assertEqual(len(files), 10)
        code, out, _ = callgate("test", *files)
        self.assertEqual((code, out.count(": ok (")), (0, 10), out)

    def test_failures_are_named(self):
        code, out, _ = self.run_cases({"tool": "charge", "times": 3, "expect": "limit"},
                                      {"name": "all may", "tool": "gone", "expect": "allow"})
        self.assertEqual(code, 1)
        self.assertRegex(out, r'p\.test\.json:\d+:\d+: /cases/1: "all may": expected allow, got deny by \(hidden\)\n')
        self.assertTrue(out.endswith("p.test.json: 1 of 2 cases failed\n"), out)

    def test_named_by_the_policy(self):
        self.run_cases({"tool": "gone", "expect": "deny"})
        self.assertEqual(callgate("test", self._files / "p.json")[0], 0)

    def test_bad_files(self):
        code, _, err = self.run_cases({"tool": "gone", "expects": "deny"})
        self.assertEqual(code, 78)
        self.assertIn('did you mean "expect"?', err)
        self.assertEqual(self.run_cases({"tool": "a", "expect": "deny"}, name="q.test.json")[0], 78, "there is no q.json")
        self.assertEqual(callgate("test", "/nonexistent.test.json")[0], 78)
        self.assertEqual(callgate("test")[0], 2)


if __name__ == "__main__":
    main()
