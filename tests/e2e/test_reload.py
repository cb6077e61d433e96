"""Policies that change while the agent runs."""
import os
import shutil
import signal
import subprocess

from governed_http import *  # noqa: F403
from callgate_harness.agent import Agent
from governed_http import LIMITED, NOTES_PY, PYTHON_HTTP, EndToEnd, HttpEndToEnd, json, main, policy, wait_for

MATCH = NOTES_PY.match
ALLOWING, DENYING = policy(MATCH), policy(MATCH, denied="echo")
RULE = "/tools/echo/deny_if"


class Reloading(EndToEnd):
    def begin(self):
        client = self.client(NOTES_PY.command)
        client.initialize()
        return client

    def call(self, client):
        return client.call("echo", {"text": "x"})

    def policies(self, agent):
        return agent.config_directory / "policies.d"

    def put(self, path, document):
        """As an editor does: written beside, then renamed over it."""
        beside = path.with_name("." + path.name + ".swp")
        beside.write_text(document if isinstance(document, str) else json.dumps(document))
        beside.chmod(0o644)
        beside.rename(path)

    def wait_denied(self, client):
        wait_for(lambda: self.call(client)["result"].get("isError"), "the new policy", interval=0.02)
        self.assert_denied(self.call(client), rule=RULE)

    def wait_allowed(self, client):
        wait_for(lambda: not self.call(client)["result"].get("isError"), "the new policy", interval=0.02)


class TestManyPolicies(Reloading):
    """5,000 policies with 30,000 tools: the right one governs, all are read again at once, and none is kept twice."""
    POLICIES, BYTES_MAX = 5000, 64 << 20

    def test_many_policies(self):
        limit = {"limits": [{"counter": "c", "window": "minute", "max": 30}]}
        tools = {f"tool_{number}": limit if number % 2 else {} for number in range(6)}
        policies = {f"p{number}": policy({"package": f"package-{number}"}, default="deny", tools=tools)
                    for number in range(self.POLICIES - 1)}
        small = self.agent({"p": ALLOWING})
        bare = small.resident_bytes()
        self.stop_agent(small)
        agent = self.agent({**policies, "own": ALLOWING})
        client = self.begin()
        self.assert_result(self.call(client))
        self.put(self.policies(agent) / "own.json", DENYING)
        self.wait_denied(client)
        said = json.loads(agent.command("reload", "--json").stdout)
        self.assertEqual((len(said["policies"]), said["problems"]), (self.POLICIES, []))
        self.assertLess(agent.resident_bytes() - bare, self.BYTES_MAX)
        client.shutdown()


class TestReload(Reloading):
    def test_a_file_that_is_renamed_into_place(self):
        agent = self.agent({"p": ALLOWING})
        client, other = self.begin(), self.begin()
        self.assert_result(self.call(client))
        self.put(self.policies(agent) / "p.json", DENYING)
        self.wait_denied(client)
        self.assert_denied(self.call(other), rule=RULE)
        self.assert_denied(self.call(self.begin()), rule=RULE)
        self.assertEqual(len(agent.wait_audit("policy_changed", count=2)), 2)
        records = agent.audit("message", tool="echo", direction="c2s")
        self.assertNotEqual(records[0]["policy_revision"], records[-1]["policy_revision"])

    def test_a_file_that_is_written_in_place(self):
        agent = self.agent({"p": ALLOWING})
        client = self.begin()
        (self.policies(agent) / "p.json").write_text(json.dumps(DENYING))
        self.wait_denied(client)

    def test_a_client_that_has_kept_the_list_of_tools(self):
        agent = self.agent({"p": ALLOWING})
        client = self.begin()
        tools = [tool["name"] for tool in client.request("tools/list")["result"]["tools"]]
        self.assertIn("echo", tools)
        self.put(self.policies(agent) / "p.json", policy(MATCH, hide=["echo"]))
        wait_for(lambda: self.call(client)["result"].get("isError"), "the new policy", interval=0.02)
        self.assert_denied(self.call(client), rule="(hidden)")
        listed = client.request("tools/list")["result"]["tools"]
        self.assertEqual([tool["name"] for tool in listed], [name for name in tools if name != "echo"])

    def test_a_policy_in_yaml(self):
        """In the dialect that has rules; one with a mistake is reported where it is written, and the last good one stays."""
        agent = self.agent({"p": ALLOWING})
        client = self.begin()
        place = self.policies(agent) / "p.yaml"
        head = f'version: "1"\nserver: {json.dumps(MATCH)}\ntools:\n  echo:\n    rules:\n'
        self.put(place, head + "      - {name: never, action: deny, on_deny: Not by agents.}\n")
        wait_for(lambda: agent.status()["problems"] != [], "the second file of that name")
        self.assertIn("p.yaml: has the same name as p.json", agent.status()["problems"][0])
        self.assert_result(self.call(client))
        (self.policies(agent) / "p.json").unlink()
        self.wait_denied(client)
        self.assertIn("Not by agents.", self.call(client)["result"]["content"][0]["text"])
        self.put(place, head + "      - {name: never, acton: deny}\n")
        wait_for(lambda: agent.status()["problems"] != [], "the bad file")
        self.assertIn('p.yaml:6:23: /tools/echo/rules/0/acton: unknown key "acton"; did you mean "action"?', " ".join(agent.status()["problems"]))
        self.assert_denied(self.call(client), rule=RULE)
        self.put(place, head + "      - {name: some, rate_limit: 1000/day}\n")
        self.wait_allowed(client)

    def test_a_directory_that_is_a_link(self):
        agent = self.agent({"p": ALLOWING})
        place = self.policies(agent)
        client = self.begin()
        one, two = agent.config_directory / "v1", agent.config_directory / "v2"
        shutil.copytree(place, one)
        shutil.copytree(place, two)
        (two / "p.json").write_text(json.dumps(DENYING))
        shutil.rmtree(place)
        place.symlink_to("v1")
        self.assert_result(self.call(client))
        wait_for(lambda: agent.status()["problems"] == [], "v1 is read")
        (agent.config_directory / "new").symlink_to("v2")
        (agent.config_directory / "new").rename(place)
        self.wait_denied(client)
        # And changes in the new one are seen.
        self.put(two / "p.json", ALLOWING)
        self.wait_allowed(client)

    def test_a_config_map(self):
        """x.json -> ..data/x.json, ..data -> ..1: a new version is one rename of ..data. Anybody may write to the volume, by its
        mode; it is mounted read-only."""
        place = self.directory()
        place.chmod(0o777)
        for version, document in (("..1", ALLOWING), ("..2", DENYING)):
            (place / version).mkdir()
            (place / version / "p.json").write_text(json.dumps(document))
            (place / version / "p.json").chmod(0o644)
        (place / "..data").symlink_to("..1")
        (place / "p.json").symlink_to("..data/p.json")
        agent = Agent({})
        self._agents.append(agent)
        self.mount(place, self.policies(agent))
        agent.start()
        self.addCleanup(self._finish, agent)
        self.assertEqual(agent.status()["problems"], [])
        client = self.begin()
        self.assert_result(self.call(client))
        (place / "..data_tmp").symlink_to("..2")
        (place / "..data_tmp").rename(place / "..data")
        self.wait_denied(client)

    def mount(self, volume, place):
        subprocess.run(["mount", "--bind", volume, place], check=True)
        self.addCleanup(subprocess.run, ["umount", place], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)

    def test_sighup_and_the_verb(self):
        agent = self.agent({"p": ALLOWING})
        client = self.begin()
        self.put(self.policies(agent) / "p.json", DENYING)
        said = agent.command("reload").stdout
        self.assertIn("p", said)
        self.assert_denied(self.call(client), rule=RULE)
        self.put(self.policies(agent) / "p.json", ALLOWING)
        os.kill(agent.pid, signal.SIGHUP)
        self.wait_allowed(client)

    def test_a_bad_file_keeps_the_last_good_policy(self):
        agent = self.agent({"p": DENYING})
        client = self.begin()
        self.put(self.policies(agent) / "p.json", "{ not json")
        done = agent.command("reload", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("its last good version stays in force", done.stdout)
        self.assert_denied(self.call(client), rule=RULE)
        self.assert_denied(self.call(self.begin()), rule=RULE)
        self.assertIn("last good version", agent.status()["problems"][0])
        self.assertIn("last good version", agent.wait_audit("policy_problem")[0]["problem"])
        self.put(self.policies(agent) / "p.json", ALLOWING)
        self.assertEqual(agent.command("reload").returncode, 0)
        self.assert_result(self.call(client))

    def test_a_file_that_goes(self):
        agent = self.agent({"p": DENYING})
        client = self.begin()
        (self.policies(agent) / "p.json").unlink()
        agent.command("reload")
        self.assertEqual(agent.status()["policies"], [])
        self.assert_denied(self.call(client), rule=RULE)  # it goes on as it was
        self.assert_result(self.call(self.begin()))       # and no policy names a new one
        self.put(self.policies(agent) / "q.json", ALLOWING)
        agent.command("reload")
        self.assert_result(self.call(client))             # another policy names it now

    def test_a_directory_that_goes_keeps_everything(self):
        agent = self.agent({"p": DENYING})
        client = self.begin()
        self.policies(agent).rename(agent.config_directory / "away")
        done = agent.command("reload", check=False)
        self.assertEqual(done.returncode, 1)
        self.assert_denied(self.call(client), rule=RULE)
        self.assert_denied(self.call(self.begin()), rule=RULE)

    def test_counters_are_kept(self):
        limited = policy(MATCH, limited="echo", maximum=3)
        agent = self.agent({"p": limited})
        client = self.begin()
        for _ in range(2):
            self.assert_result(self.call(client))
        self.put(self.policies(agent) / "p.json", policy(MATCH, limited="echo", maximum=3, description="changed"))
        agent.command("reload")
        self.assert_result(self.call(client))
        self.assert_denied(self.call(client), code=LIMITED)

    def test_the_first_policy_comes_later(self):
        agent = self.agent({})
        self.put(self.policies(agent) / "p.json", DENYING)
        agent.command("reload")
        self.assert_denied(self.call(self.begin()), rule=RULE)


class TestHttpReload(HttpEndToEnd):
    def test_over_http(self):
        match = PYTHON_HTTP.match
        server = self.server(PYTHON_HTTP)
        agent = self.agent({"p": policy(match)})
        client = self.mcp(server)
        self.assert_result(client.call("echo", {"text": "x"}))
        path = agent.config_directory / "policies.d" / "p.json"
        path.write_text(json.dumps(policy(match, denied="echo")))
        agent.command("reload")
        self.assert_denied(client.call("echo", {"text": "x"}), rule=RULE)
        self.assert_denied(self.mcp(server).call("echo", {"text": "x"}), rule=RULE)


if __name__ == "__main__":
    main()
