"""grants.json: who calls, by what the kernel sees, decides under whose name a call is counted, judged and recorded."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

from governed_http import *  # noqa: F403
from governed_http import LIMITED, NODE, NOTES_PY, PYTHON_HTTP, HttpEndToEnd, echoed, json, main, policy, wait_for

PYTHON_EXE = os.path.realpath("/proc/self/exe")
NODE_EXE = os.path.realpath(NODE)
CALL_ONCE = str(Path(__file__).with_name("call_once.py"))  # a client in a process of its own


def grants(default=None, **named):
    document = {"version": "1", "grants": {name: {"match": match} for name, match in named.items()}}
    return {**document, **({"default": default} if default else {})}


def needs(path, value):
    return {"require": [{"conditions": [{"path": path, "op": "eq", "value": value}]}]}


class TestStdio(HttpEndToEnd):
    def begin(self):
        client = self.client(NOTES_PY.command)
        client.initialize()
        return client

    def test_two_clients_of_one_server(self):
        """Each is counted and judged as its own grant says."""
        document = grants(py={"exe": PYTHON_EXE, "user": "root"}, js={"exe": NODE_EXE})
        document["grants"]["py"]["labels"] = {"team": "build", "tier": 2}
        document["grants"]["js"]["labels"] = {"team": "web"}
        tools = {"echo": needs("grant.team", "build"), "read_note": needs("grant.name", "js")}
        agent = self.agent({"notes": policy(NOTES_PY.match, default="deny", tools=tools)}, grants=document)
        client = self.begin()
        self.assertEqual(echoed(client.call("echo", {"text": "me"})), "me")
        self.assertEqual(self.assert_denied(client.call("read_note"))["rule"], "/tools/read_note/require/grant.name-eq")
        self.assertEqual(agent.sessions()[0]["grant"], "py")
        self.assertIn("grant py", agent.command("sessions").stdout)
        self.assertIn("grants     py, js", agent.command("status").stdout)
        events = self.sdk_client(NOTES_PY.command, [{"call": {"name": "echo", "arguments": {"text": "x"}}}], sdk="v1").finish()
        self.assert_denied_result(events[1]["result"], rule="/tools/echo/require/grant.team-eq")
        records = agent.wait_audit("message", count=3, method="tools/call", direction="c2s")
        self.assertEqual([r["grant"] for r in records], ["py", "py", "js"])
        client.shutdown()

    def test_each_kind_of_member(self):
        """One grant names this very test by everything that the kernel sees of it; its parts with one wrong do not."""
        facts = {"user": "glob:roo?", "group": str(os.getgid()), "exe": PYTHON_EXE, "exe_sha256": self.sha256(PYTHON_EXE)}
        cgroup = Path("/proc/self/cgroup").read_text().split("0::", 1)[1].splitlines()[0]
        facts["cgroup"] = cgroup
        with open(f"/proc/{os.getppid()}/comm") as comm:
            facts["parents"] = comm.read().rstrip("\n")
        wrong = {"user": "nobody", "group": "4000000", "exe": "/bin/false", "exe_sha256": "0" * 64, "cgroup": "/elsewhere",
                 "parents": "no-such-parent", "unit": "no-such.service", "container": "0" * 64, "client": "nobody"}
        agent = self.agent({"notes": policy(NOTES_PY.match, default="deny", tools={"echo": needs("grant.name", "me")})},
                           grants=grants(me=facts))
        client = self.begin()
        self.assert_result(client.call("echo", {"text": "x"}))
        for member, value in wrong.items():
            with self.subTest(member=member):
                self.put(agent, grants(me={**facts, member: value}))
                self.assert_denied(client.call("echo", {"text": "x"}), rule="/tools/echo/require/grant.name-eq")

    @staticmethod
    def sha256(path):
        return subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]

    def put(self, agent, document, check=True):
        path = agent.config_directory / "grants.json"
        beside = path.with_name(".new")
        beside.write_text(document if isinstance(document, str) else json.dumps(document))
        beside.chmod(0o644)
        beside.rename(path)
        return agent.command("reload", check=check)

    def test_changes_while_it_runs(self):
        agent = self.agent({"notes": policy(NOTES_PY.match, limited="echo", maximum=1)})
        client = self.begin()
        self.assert_result(client.call("echo", {"text": "x"}))
        self.assert_denied(client.call("echo", {"text": "x"}), code=LIMITED)
        self.put(agent, grants(me={"exe": PYTHON_EXE}))
        self.assert_result(client.call("echo", {"text": "x"}))  # another count
        self.assert_denied(client.call("echo", {"text": "x"}), code=LIMITED)
        said = self.put(agent, '{"version": "1", "grants": {"me": {"mach": {}}}}', check=False)
        self.assertEqual(said.returncode, 1)
        self.assertIn('did you mean "match"?', said.stdout)
        problems = "\n".join(r["problem"] for r in agent.wait_audit("policy_problem", count=2))
        self.assertIn("last good version stays in force", problems)
        self.assert_denied(client.call("echo", {"text": "x"}), code=LIMITED)
        self.assertEqual(agent.sessions()[0]["grant"], "me")
        (agent.config_directory / "grants.json").unlink()
        wait_for(lambda: agent.sessions()[0]["grant"].startswith("uid:0 exe:"), "no grants")
        self.assert_denied(client.call("echo", {"text": "x"}), code=LIMITED)
        self.assertIn(f"notes|g:uid:{os.getuid()} exe:{PYTHON_EXE}|echo", agent.command("counters").stdout)
        self.assertIn("notes|g:me|echo", agent.command("counters").stdout)

    def test_others_are_denied(self):
        agent = self.agent({"notes": policy(NOTES_PY.match)}, grants=grants("deny", other={"exe": "/bin/false"}))
        client = self.begin()
        self.assertIn("tools", client.request("tools/list")["result"])
        self.assert_denied(client.call("echo", {"text": "x"}), rule="(no grant)", reason="Nothing is granted to this client.")
        self.put(agent, grants("deny", me={"exe": PYTHON_EXE}))
        self.assert_result(client.call("echo", {"text": "x"}))
        self.put(agent, grants("deny", me={"exe": PYTHON_EXE}, too={"exe": "glob:*python*"}))
        self.assert_denied(client.call("echo", {"text": "x"}), rule="(grant tie)")

    def test_what_the_client_says_of_itself(self):
        """Known from its initialize on, which is judged under it already."""
        document = grants(py={"exe": PYTHON_EXE}, harness={"exe": PYTHON_EXE, "client": "harness"})
        agent = self.agent({"notes": policy(NOTES_PY.match)}, grants=document)
        client = self.begin()
        client.call("echo", {"text": "x"})
        self.assertEqual(agent.wait_audit("session_start")[0]["grant"], "py")
        self.assertEqual([r["grant"] for r in agent.wait_audit("message", count=3, direction="c2s")], ["harness"] * 3)
        client.shutdown()
        self.assertEqual(agent.wait_audit("session_end")[0]["grant"], "harness")

    def test_hostile_names(self):
        """A client whose program has escapes, quotes and line ends in its path."""
        place = self.directory() / "a\x1b[31m\n\"}],\x07"
        place.mkdir()
        exe = place / "python3"
        shutil.copy(PYTHON_EXE, exe)
        agent = self.agent({"notes": policy(NOTES_PY.match, default="deny", tools={"echo": needs("grant.name", "odd")})},
                           grants=grants(odd={"exe": "glob:*/a*/python3"}))
        done = subprocess.run([str(exe), CALL_ONCE, json.dumps([str(word) for word in NOTES_PY.command])], capture_output=True,
                              env={**os.environ, "PYTHONHOME": sys.base_prefix}, timeout=60, check=True)
        self.assert_result(json.loads(done.stdout))
        record = agent.wait_audit("message", method="tools/call", direction="c2s")[0]
        self.assertEqual(record["grant"], "odd")
        self.assertNotIn("\x1b", agent.audit_path.read_text())
        (agent.config_directory / "grants.json").unlink()
        agent.command("reload")
        subprocess.run([str(exe), CALL_ONCE, json.dumps([str(word) for word in NOTES_PY.command])], capture_output=True,
                       env={**os.environ, "PYTHONHOME": sys.base_prefix}, timeout=60, check=True)
        record = agent.wait_audit("message", count=2, method="tools/call", direction="c2s")[1]
        self.assertTrue(record["grant"].startswith("uid:0 exe:"), record)
        self.assertNotIn("\x1b", agent.command("sessions").stdout + agent.audit_path.read_text())


class TestHttp(HttpEndToEnd):
    def test_two_clients_of_one_server(self):
        server = self.server(PYTHON_HTTP)
        agent = self.agent({"notes": policy(PYTHON_HTTP.match, limited="echo", maximum=1)},
                           grants=grants(py={"exe": PYTHON_EXE}, js={"exe": NODE_EXE, "client": "glob:test-client-*"}))
        client = self.mcp(server)
        self.assert_result(client.call("echo", {"text": "x"}))
        self.assert_denied(self.mcp(server).call("echo", {"text": "x"}), code=LIMITED)
        events = self.sdk_http(server, [{"call": {"name": "echo", "arguments": {"text": "x"}}}], sdk="v1")
        self.assert_result(events[1])
        self.assertIn("py", {s["grant"] for s in agent.sessions()})
        records = agent.wait_audit("message", count=3, method="tools/call", direction="c2s")
        self.assertEqual([r["grant"] for r in records], ["py", "py", "js"])

    def test_of_each_message_in_the_new_revision(self):
        server = self.server(PYTHON_HTTP)
        agent = self.agent({"notes": policy(PYTHON_HTTP.match, default="deny", tools={"echo": needs("grant.name", "one")})},
                           grants=grants(one={"client": "one"}))
        client = self.mcp(server, version="2026-07-28", initialize=False)
        for name in ("one", "two", "one"):
            message = client.call_message("echo", {"text": name})
            message["params"]["_meta"] = {**message["params"]["_meta"],
                                          "io.modelcontextprotocol/clientInfo": {"name": name, "version": "1"}}
            client.post(message)
        records = agent.wait_audit("message", count=3, method="tools/call", direction="c2s")
        self.assertEqual([r["decision"] for r in records], ["allow", "deny", "allow"])
        self.assertEqual([r["grant"] for r in records][0], "one")
        self.assertTrue(records[1]["grant"].startswith("uid:"))

    def test_changes_while_it_runs(self):
        server = self.server(PYTHON_HTTP)
        agent = self.agent({"notes": policy(PYTHON_HTTP.match)}, grants=grants(py={"exe": PYTHON_EXE}))
        client = self.mcp(server)
        self.assert_result(client.call("echo", {"text": "x"}))
        path = agent.config_directory / "grants.json"
        path.write_text(json.dumps(grants("deny", other={"exe": "/bin/false"})))
        agent.command("reload")
        self.assert_denied(client.call("echo", {"text": "x"}), rule="(no grant)")


class TestCheck(HttpEndToEnd):
    def test_check_reads_it_too(self):
        agent = self.agent({})
        place = self.directory()
        good, bad = place / "grants.json", place / "other.json"
        good.write_text(json.dumps(grants(ci={"user": "ci"})))
        bad.write_text('{"version": "1",\n "grants": {"ci": {"match": {"usr": "ci"}}}}')
        for path in (good, bad):
            path.chmod(0o644)
        binary = os.environ.get("CALLGATE_BINARY", "build/callgate")
        done = subprocess.run([binary, "check", str(good), str(bad)], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("grants.json: ok (1 grant, others have the default grant)", done.stdout)
        self.assertIn('other.json:2:30: /grants/ci/match/usr: unknown key "usr"; did you mean "user"?', done.stdout)
        self.assertEqual(agent.status()["problems"], [])


if __name__ == "__main__":
    main()
