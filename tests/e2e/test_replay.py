"""callgate replay, on audit files of real runs: what a changed policy would have decided; and what "full" arguments add."""
import gzip
import subprocess

from governed import *  # noqa: F403
from governed import BINARY, LIMITED, NOTES_PY, EndToEnd, json, main, os, policy

LIMIT = {"counter": "writes", "window": "day", "max": 3}
OLD = {"write_note": {"limits": [LIMIT]}, "delete_note": {"action": "deny"}}
TEXT = 'a "secret" \x7f\x1b[2J \u202e 9007199254740993'


def callgate(*words, stdin=b""):
    done = subprocess.run([str(BINARY), *map(str, words)], input=stdin, capture_output=True, timeout=60)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


class TestReplay(EndToEnd):
    def record(self, **config):
        """The audit file of a run in which every call was made that the tests speak of."""
        agent = self.agent({"notes": policy(NOTES_PY.match, tools=OLD)}, **({"config": config} if config else {}))
        client = self.client(NOTES_PY.command)
        client.initialize()
        for number in range(3):
            self.assert_result(client.call("write_note", {"text": TEXT, "number": number}))
        self.assert_denied(client.call("write_note", {"text": "one too many"}), code=LIMITED)
        self.assert_denied(client.call("delete_note"))
        self.assert_result(client.call("echo", {"text": "hello"}))
        client.call("no_such_tool")
        client.shutdown()
        agent.wait_audit("session_end")
        self.stop_agent(agent)
        return agent.audit_path

    def policy_file(self, name="notes", **members):
        document = policy(NOTES_PY.match, **{"tools": OLD, **members})
        path = self.directory() / f"{name}.json"
        path.write_text(json.dumps(document))
        path.chmod(0o644)
        return path

    def replay(self, path, *words, **members):
        code, out, err = callgate("replay", self.policy_file(**members), *([path] if path else []), "--json", *words)
        return code, json.loads(out) if out else err

    def rows(self, report):
        return [(row["call"], row["was"], row["now"], row["rule"], row["count"]) for row in report["differences"]]

    def test_changes_of_a_policy(self):
        path = self.record()
        code, report = self.replay(path)
        self.assertEqual((code, self.rows(report)), (0, []), "the policy that was in force decides the same")
        self.assertGreater(report["judged"], 8)
        self.assertEqual(report["not_judged"], {"other_servers": 0, "refused": 0, "unreadable": 0, "lost": 0})

        tools = {"write_note": {"limits": [{**LIMIT, "max": 2}]}, "delete_note": {}, "echo": {"action": "require_approval"}}
        code, report = self.replay(path, tools=tools)
        self.assertEqual(code, 1)
        self.assertEqual(self.rows(report), [("write_note", "allow", "limit", "/tools/write_note/limits/writes", 1),
                                             ("delete_note", "deny", "allow", "/tools/delete_note/action", 1),
                                             ("echo", "allow", "approval", "/tools/echo/action", 1)])
        first = report["differences"][0]
        line = next(json.loads(line) for line in path.read_text().splitlines() if first["id"] in line)
        self.assertEqual((line["tool"], line["time"]), ("write_note", first["time"]))
        self.assertNotIn("calls", report)

        code, report = self.replay(path, "--all", default="deny", tools={})
        self.assertEqual(len(report["calls"]), report["different"])
        self.assertEqual(report["different"], 6)

    def test_what_is_printed(self):
        path = self.record()
        code, out, err = callgate("replay", self.policy_file(hide=["echo"]), path)
        self.assertEqual((code, err), (1, ""))
        heading, row, summary = out.splitlines()
        self.assertEqual(heading.split(), ["CALL", "CALLS", "WAS", "NOW", "RULE", "FIRST", "TIME"])
        self.assertEqual(row.split()[:5], ["echo", "1", "allow", "deny", "(hidden)"])
        self.assertRegex(summary, r"^\d+ judged: 1 different, 0 unknown$")
        code, out, _ = callgate("replay", self.policy_file(), path)
        self.assertRegex(out, r"^\d+ judged: 0 different, 0 unknown\n$")
        code, out, _ = callgate("replay", self.policy_file(hide=["echo"]), path, "--all")
        self.assertEqual(out.splitlines()[1].split()[:4], ["echo", "allow", "deny", "(hidden)"])

    def test_arguments(self):
        denied = {"write_note": {"deny_if": [{"conditions": [{"path": "args.number", "op": "gte", "value": 1},
                                                             {"path": "args.text", "op": "eq", "value": TEXT}]}]}}
        for config, code, rows in (({}, 0, [("write_note", "allow", "unknown", "arguments not recorded", 3)]),
                                   ({"audit": {"arguments": "full"}}, 1,
                                    [("write_note", "allow", "deny", "/tools/write_note/deny_if/args.number-gte", 2),
                                     ("write_note", "limit", "allow", "/tools/write_note/limits/writes", 1)])):
            with self.case(config=config):
                path = self.record(**config)
                got, report = self.replay(path, tools={**OLD, **denied})
                found = [row for row in self.rows(report) if row[0] == "write_note"]
                if not config:  # one call has no number: that it is allowed now is known
                    rows = rows + [("write_note", "limit", "allow", "/tools/write_note/limits/writes", 1)]
                    code = 1
                self.assertEqual((got, found), (code, rows))
                self.assertEqual(report["unknown"], 0 if config else 3)
                self.assertNotIn("\x1b", path.read_text())
                self.assertEqual("secret" in path.read_text(), bool(config))

    def test_a_recorded_call_is_explained_with_its_arguments(self):
        path = self.record(audit={"arguments": "full"})
        record = next(r for r in map(json.loads, path.read_text().splitlines()) if r.get("tool") == "write_note" and r["direction"] == "c2s")
        self.assertEqual(record["arguments"], {"text": TEXT, "number": 0})
        conditions = [{"path": "args.text", "op": "eq", "value": TEXT}, {"path": "client.name", "op": "eq", "value": "harness"},
                      {"path": "peer.uid", "op": "eq", "value": os.getuid()}]
        document = self.policy_file(tools={"write_note": {"require": [{"conditions": conditions}]}})
        code, out, err = callgate("explain", document, "--audit", path, "--id", record["id"])
        self.assertEqual((code, err), (0, ""), out)
        code, out, _ = callgate("explain", document, "--audit", path, "--id", record["id"], "--args", "{}")
        self.assertEqual(code, 1)
        self.assertIn("args.text-eq", out)

    def test_rotated_and_compressed_files(self):
        path = self.record()
        lines = path.read_text().splitlines(keepends=True)
        directory = self.directory()
        (directory / "a.jsonl").write_text("".join(lines[12:]))
        (directory / "a.jsonl.1").write_text("".join(lines[6:12]))
        (directory / "a.jsonl.2.gz").write_bytes(gzip.compress("".join(lines[:6]).encode()))
        tools = {"write_note": {"limits": [{**LIMIT, "max": 1}]}}
        whole = self.replay(path, tools=tools)
        self.assertEqual(whole[1]["differences"][0]["count"], 2)
        self.assertEqual(self.replay(directory / "a.jsonl", directory / "a.jsonl.1", directory / "a.jsonl.2.gz", tools=tools), whole)
        code, out, _ = callgate("replay", self.policy_file(tools=tools), "-", "--json", stdin=gzip.compress(path.read_bytes()))
        self.assertEqual((code, json.loads(out)), whole)

    def test_other_servers(self):
        path = self.record()
        other = self.policy_file("other", hide=["echo"])
        document = json.loads(other.read_text())
        document["server"] = {"package": "another"}
        other.write_text(json.dumps(document))
        code, out, _ = callgate("replay", other, path)
        self.assertEqual(code, 0)
        self.assertRegex(out, r"^0 judged: .*; not judged: \d+ of other servers\n$")
        self.assertEqual(callgate("replay", other, path, "--any-server")[0], 1)

    def test_wrong_usage(self):
        good = self.policy_file()
        self.assertEqual(callgate("replay")[0], 2)
        self.assertEqual(callgate("replay", good)[0], 2)
        self.assertEqual(callgate("replay", good, "/nonexistent")[0], 2)
        self.assertEqual(callgate("replay", "/nonexistent.json", "-")[0], 78)
        code, out, err = callgate("replay", good, "-", stdin=b"no record\n")
        self.assertEqual(code, 2)
        self.assertIn("not one line", err)
        self.assertIn("1 lines unreadable", out)
        code, _, err = callgate("replay", good, "-", stdin=gzip.compress(b"x\n" * 10000)[:40])
        self.assertEqual(code, 2, err)


if __name__ == "__main__":
    main()
