"""The five seed policies that ship in policies/, against stand-ins that carry the real packages' tool names."""
import shutil

from governed import *  # noqa: F403
from governed import (LIMITED, NODE, NOTES_PY, ROOT, SERVERS, EndToEnd, Path, Server, json, main, os, policy, time, wait_for)

SEEDS = ("agent-recall-mcp", "delx-mcp", "mcacp", "session-forge", "total-recall")
MINUTE_MAX = 30


def stand_in(seed):
    return (NODE, str(SERVERS / "seed" / seed / "index.mjs"))


def package_of(seed):
    return json.loads((SERVERS / "seed" / seed / "package.json").read_text())["name"]


def shipped_policies(seed):
    """Files under policies/ whose server is this seed's package."""
    found = []
    for path in sorted((ROOT / "policies").rglob("*.json")):
        document = json.loads(path.read_text())
        if document.get("server", {}).get("package") == package_of(seed):
            found.append((path, document))
    return found


def limited_tool(document):
    """The first tool of a policy that is limited to 30 a minute."""
    for tool, rules in document["tools"].items():
        for limit in rules.get("limits", ()):
            if limit["window"] == "minute" and limit["max"] == MINUTE_MAX:
                return tool
    raise AssertionError("no tool with 30 a minute")


def early_in_the_minute():
    """Windows are aligned with the clock; what follows takes a few seconds and must not cross into the next one."""
    wait_for(lambda: time.time() % 60 < 45, "the next minute", seconds=20, interval=0.1)


class TestSeeds(EndToEnd):
    def check(self, seed, document):
        tool = limited_tool(document)
        early_in_the_minute()
        agent = self.agent({"seed": document})
        client = self.client(stand_in(seed), channel="socketpair")
        client.initialize()
        first = client.next_id
        for _ in range(MINUTE_MAX + 1):
            client.post("tools/call", {"name": tool, "arguments": {}})
        for number in range(MINUTE_MAX):
            text = self.assert_result(client.answer(first + number))["content"][0]["text"]
            self.assertEqual(text, f"{tool} {number + 1}")
        decision = self.assert_denied(client.answer(first + MINUTE_MAX), code=LIMITED, rule=f"/tools/{tool}/limits")
        self.assertLessEqual(decision["retryAfterMs"], 60000 - int(time.time() * 1000) % 60000 + 1000)
        self.assertEqual(client.shutdown(), 0)

        # The grant is the user and the client's executable: another client, of the SDK, has its own 30.
        events = self.sdk_client(stand_in(seed), [{"call": {"name": tool}}]).finish()
        self.assertEqual(events[1]["result"]["content"][0]["text"], f"{tool} 1")
        # And a new session of the first client has not.
        again = self.client(stand_in(seed), channel="socketpair")
        again.initialize()
        self.assert_denied(again.call(tool), code=LIMITED)
        again.shutdown()
        calls = agent.wait_audit("message", count=MINUTE_MAX + 3, direction="c2s", method="tools/call")
        self.assertEqual([r["decision"] for r in calls], ["allow"] * MINUTE_MAX + ["deny", "allow", "deny"])
        self.stop_agent(agent)

    def test_thirty_a_minute(self):
        for seed in SEEDS:
            policies = shipped_policies(seed)
            self.assertTrue(policies, f"policies/ has none for {package_of(seed)}")
            for path, document in policies:
                with self.case(policy=str(path.relative_to(ROOT))):
                    self.check(seed, document)

    def test_hidden_tools_are_not_listed_and_not_callable(self):
        for seed in SEEDS:
            for path, document in shipped_policies(seed):
                hidden = set(document.get("hide", ()))
                if not hidden:
                    continue
                with self.case(policy=str(path.relative_to(ROOT))):
                    agent = self.agent({"seed": document})
                    client = self.client(stand_in(seed), channel="socketpair")
                    client.initialize()
                    listed = {t["name"] for t in client.request("tools/list")["result"]["tools"]}
                    every = {row[0] for row in json.loads((SERVERS / "seed" / seed / "tools.json").read_text())}
                    self.assertEqual(listed, every if hidden == {"*"} and not every else every - hidden)
                    for tool in hidden & every:
                        self.assert_denied(client.call(tool), rule="(hidden)")
                    client.shutdown()
                    self.stop_agent(agent)

    def test_financial_tools_ask_for_approval(self):
        found = 0
        for seed in SEEDS:
            for path, document in shipped_policies(seed):
                denied = [tool for tool, rules in document["tools"].items() if "deny_if" in rules]
                if not denied:
                    continue
                with self.case(policy=str(path.relative_to(ROOT))):
                    agent = self.agent({"seed": document})
                    client = self.client(stand_in(seed), channel="socketpair")
                    client.initialize()
                    for tool in denied:
                        self.assert_denied(client.call(tool), rule=f"/tools/{tool}/deny_if", reason="Requires human approval.")
                    found += len(denied)
                    client.shutdown()
                    self.stop_agent(agent)
        self.assertGreater(found, 0)


class TestWindowsAndScopes(EndToEnd):
    def limit(self, **limit):
        return policy(NOTES_PY.match, tools={"write_note": {"limits": [{"counter": "n", "window": "day", "max": 2, **limit}]}})

    def started(self, command=NOTES_PY.command):
        client = self.client(command)
        client.initialize()
        return client

    def test_the_next_window_is_fresh(self):
        self.agent({"p": self.limit(window="second", max=3, scope="grant")})
        client = self.started()
        for _ in range(3):
            wait_for(lambda: time.time() % 1 < 0.4, "the start of a second", interval=0.001)
            window = int(time.time())
            for _ in range(3):
                self.assert_result(client.call("write_note"))
            decision = self.assert_denied(client.call("write_note"), code=LIMITED)
            self.assertEqual(int(time.time()), window, "too slow a machine for a window of one second")
            self.assertLessEqual(decision["retryAfterMs"], 1000)
            wait_for(lambda: time.time() >= window + 1, "the next second", interval=0.001)
        client.shutdown()

    def test_a_window_in_seconds(self):
        self.agent({"p": policy(NOTES_PY.match, tools={"write_note": {"rate_limit": {"max": 1, "window": 2}}})})
        client = self.started()
        wait_for(lambda: time.time() % 2 < 1, "the start of a window", interval=0.001)
        window = int(time.time() / 2)
        self.assert_result(client.call("write_note"))
        decision = self.assert_denied(client.call("write_note"), code=LIMITED)
        self.assertLessEqual(decision["retryAfterMs"], 2000)
        wait_for(lambda: int(time.time() / 2) > window, "the next window", interval=0.001)
        self.assert_result(client.call("write_note"))
        client.shutdown()

    def test_scope_session(self):
        self.agent({"p": self.limit(scope="session")})
        for client in (self.started(), self.started()):
            self.assert_result(client.call("write_note"))
            self.assert_result(client.call("write_note"))
            self.assert_denied(client.call("write_note"), code=LIMITED)

    def test_scope_server_counts_all_clients(self):
        self.agent({"p": self.limit(scope="server")})
        events = self.sdk_client(NOTES_PY.command, [{"call": {"name": "write_note"}}] * 2).finish()
        self.assertTrue(all("isError" not in e["result"] for e in events[1:3]), events)
        client = self.started()
        self.assert_denied(client.call("write_note"), code=LIMITED)
        client.shutdown()

    def test_another_user_is_another_grant(self):
        self.agent({"p": self.limit(scope="grant")})
        client = self.started()
        self.assert_result(client.call("write_note"))
        self.assert_result(client.call("write_note"))
        self.assert_denied(client.call("write_note"), code=LIMITED)
        client.shutdown()
        # The same executable as user nobody, from a place that nobody can read.
        place = self.directory()
        place.chmod(0o755)
        shutil.copytree(SERVERS / "python", place / "python")
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.setgroups([])
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
                os.chdir("/")
                theirs = self.client(("/usr/bin/python3", place / "python" / "server.py"))
                theirs.initialize()
                os.write(writer, json.dumps([theirs.call("write_note") for _ in range(3)]).encode())
                theirs.shutdown()
                code = 0
            finally:
                os._exit(code)
        os.close(writer)
        with open(reader, "rb") as answers:
            first, second, third = json.loads(answers.read())
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assert_result(first)
        self.assert_result(second)
        self.assert_denied(third, code=LIMITED)


if __name__ == "__main__":
    main()
