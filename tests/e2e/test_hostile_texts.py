"""Whatever a policy, a client or a server says: no verb prints what a terminal obeys, nor what it hides or turns around."""
import re
import shutil
import subprocess

from governed import *  # noqa: F403
from governed import BINARY, MCP_SERVER, NODE, NODE_DIRECTORY, EndToEnd, json, main, policy

# Escapes of seven and of eight bits, a title, line ends, a line turned around, text without width, tags that only models read.
EVIL = "a\x1b[2J\x9b31m\x1b]0;t\x07\r\nb\x7f\u202ec\u200bd\U000e0041\u2028e"
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
HIDDEN = re.compile("[\u200b-\u200d\u2060-\u2065\ufeff\U000e0000-\U000e0fff]")
IN_NAMES = "a\u202ec\u200bd\U000e0041"  # what names in a policy may have: no control characters
MATCH = {"package": "changing-tools"}


def hostile_policy():
    condition = {"path": f"args.{IN_NAMES}", "op": "eq", "value": EVIL}
    return policy(MATCH, default="deny", pin=True, hide=[f"hidden{IN_NAMES}"], tools={
        "pay": {"action": "require_approval"},
        "never": {"action": "deny", "reason": EVIL},
        "asks": {"deny_if": [{"conditions": [condition], "on_deny": EVIL}]},
        f"limited{IN_NAMES}": {"limits": [{"counter": IN_NAMES, "window": "day", "max": 1, "on_deny": EVIL}]},
    }, description=EVIL, **{"$comment": EVIL})


class TestHostileTexts(EndToEnd):
    def check(self, what, *texts):
        """Line ends apart."""
        for text in texts:
            for kind in (OBEYED, HIDDEN):
                self.assertIsNone(kind.search(text), f"{what}: {kind.search(text)} in {text!r}")

    def run_verb(self, *words):
        done = subprocess.run([str(BINARY), *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        self.check(words[0], done.stdout.decode(), done.stderr.decode())
        return done

    def test_of_files(self):
        place = self.directory()
        (place / EVIL.replace("\n", "")).mkdir()
        path = place / EVIL.replace("\n", "") / "p.json"
        path.write_text(json.dumps(hostile_policy(), ensure_ascii=False))
        path.chmod(0o644)
        self.assertEqual(self.run_verb("check", path).returncode, 0)
        for tool in ("pay", "never", "asks", f"limited{IN_NAMES}", f"hidden{IN_NAMES}", EVIL):
            self.assertIn(self.run_verb("explain", path, "--tool", tool, "--args", json.dumps({IN_NAMES: EVIL})).returncode, (0, 1))
        converted = self.run_verb("convert", path)
        self.assertEqual(json.loads(converted.stdout)["$comment"], EVIL)
        self.assertEqual(json.loads(converted.stdout)["hide"], [f"hidden{IN_NAMES}"])
        (path.parent / "p.test.json").write_text(json.dumps(
            {"cases": [{"name": EVIL, "tool": "never", "expect": "allow"}, {"tool": EVIL, "expect": "allow"}]}))
        self.assertEqual(self.run_verb("test", path).returncode, 1)
        for mistake in ({EVIL: 1}, {"default": EVIL}, {"tools": {EVIL: {}}}, {"tools": {"x": {"limits": [{EVIL: EVIL}]}}},
                        {"server": {"package": EVIL}}, {"methods": {EVIL: {EVIL: 1}}}, {"aliases": {EVIL: EVIL}},
                        {"tools": {"x": {"require": [{"conditions": [{"path": EVIL, "op": EVIL, "value": 1}]}]}}},
                        {"tools": {"x": {"require": [{"conditions": [{"path": "args.a", "op": "regex", "value": f"({EVIL}"}]}]}}}):
            path.write_text(json.dumps({**hostile_policy(), **mistake}, ensure_ascii=False))
            self.assertEqual(self.run_verb("check", path).returncode, 1, mistake)
        (place / "p.yaml").write_text(f'version: "1"\ndefault: deny\ntools: {{"x{EVIL[-1]}": {{rules: [{{"n\\e[2J": 1}}]}}}}\n')
        self.assertEqual(self.run_verb("check", place / "p.yaml").returncode, 1)
        (place / "list.json").write_text(json.dumps({"tools": [
            {"name": IN_NAMES, "description": f"Deletes {EVIL}", "inputSchema": {"properties": {EVIL: {"enum": [f"delete{EVIL}", "list"]}}}},
            {"name": f"delete_{IN_NAMES}", "description": EVIL}, {"name": EVIL}]}, ensure_ascii=False))
        drafted = self.run_verb("draft", "--package", IN_NAMES, place / "list.json")
        self.assertIn(f"delete_{IN_NAMES}", json.loads(drafted.stdout)["hide"])

    def test_of_sessions(self):
        tools = self.directory() / "tools.json"

        def list_tools(client, description):
            tools.write_text(json.dumps({"tools": [{"name": name, "description": description, "inputSchema": {"type": "object"}}
                                                   for name in ("pay", "never", f"limited{IN_NAMES}")]}))
            client.request("tools/list")

        agent = self.agent({"evil": hostile_policy()}, config={"audit": {"arguments": "full"}})
        client = self.client((NODE, str(NODE_DIRECTORY / "changing_server" / "server.mjs"), str(tools), EVIL.replace("\x00", "")))
        client.request("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": EVIL, "version": EVIL}})
        client.notify("notifications/initialized")
        list_tools(client, EVIL)
        asked = client.call("pay", {EVIL: EVIL, "deep": [{EVIL: [EVIL]}]})["error"]["data"]["approval_id"]
        for tool in ("never", f"limited{IN_NAMES}", f"limited{IN_NAMES}", f"hidden{IN_NAMES}", EVIL):
            client.call(tool, {EVIL: EVIL})
        client.request(f"tools/{EVIL}", {EVIL: EVIL})
        list_tools(client, EVIL + "changed")
        client.call("never")
        agent.wait_audit("message", count=7, direction="c2s", decision="deny")
        verbs = (("status",), ("sessions",), ("approvals",), ("approvals", "--all"), ("approvals", "show", asked), ("counters",), ("pins",),
                 ("pins", "--changed"), ("pins", "show", "evil"), ("approvals", "deny", asked, "--reason", EVIL), ("approvals", "--all"))
        for words in verbs:
            done = agent.command(*words)
            self.check(words, done.stdout, done.stderr)
            self.assertNotEqual(done.stdout, "", words)
        self.check("audit", agent.audit_path.read_text())
        policy_file = agent.config_directory / "policies.d" / "evil.json"
        self.assertNotEqual(self.run_verb("tail", "--no-follow", "-n", "99", "--audit", agent.audit_path).stdout, b"")
        record = agent.audit("message", direction="c2s", method="tools/call")[0]
        self.run_verb("explain", policy_file, "--audit", agent.audit_path, "--id", record["id"])
        policy_file.write_text(json.dumps({**hostile_policy(), "default": "allow", "hide": [], "tools": {}}, ensure_ascii=False))
        self.assertEqual(self.run_verb("replay", policy_file, agent.audit_path, "--all").returncode, 1)
        policy_file.write_text(json.dumps({**hostile_policy(), EVIL: EVIL}, ensure_ascii=False))
        self.check("reload", *(lambda done: (done.stdout, done.stderr))(agent.command("reload", check=False)))
        self.check("status", agent.command("status").stdout)
        self.assertIsNone(OBEYED.search(agent.log()))
        client.shutdown()

    def test_of_the_log(self):
        """Whoever starts a server chooses its command line, and neither moves the cursor nor writes a line of his own."""
        match = {"command": "*mcp_server*"}
        agent = self.agent({"a": policy({"user": "root", **match}), "b": policy({"user": "0", **match})})
        client = self.client((shutil.copy(MCP_SERVER, self.directory() / f"mcp_server{EVIL}"),))
        client.initialize()
        (agent.config_directory / "policies.d" / "a.json").write_text(json.dumps(policy({"user": "root", **match}, description="new")))
        agent.command("reload", check=False)  # a tie is a problem
        self.assertIn("policy tie: a, b name the server", agent.log())
        self.check("log", agent.log())
        self.assertEqual([line for line in agent.log().split("\n") if line and not re.match(r"\d{4}-\d\d-\d\dT\S+Z [a-z]+ ", line)], [])
        client.shutdown()


if __name__ == "__main__":
    main()
