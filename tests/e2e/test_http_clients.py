"""The SDKs' own clients, the Inspector and curl, against every server: what they see is what they see without the agent,
except where the policy says otherwise."""
import os
import shutil
import subprocess

from governed_http import *  # noqa: F403
from governed_http import (DENIED, EVERYTHING_HTTP, EVERYTHING_SSE, HTTP_SPECS, LIMITED, MODERN_HTTP, NODE, PYTHON_HTTP,
                           HttpEndToEnd, inspector, json, main, policy, policy_for)

REVISION = "2026-07-28"


def steps(spec):
    calls = [spec.allowed, spec.denied, *[spec.limited] * 3]
    return [{"list": True}, *[{"call": {"name": name, "arguments": arguments}} for name, arguments in calls], {"list": True}]


class TestSdkClients(HttpEndToEnd):
    def check(self, spec, **client):
        with self.case(server=spec.name, **client):
            server = self.server(spec)
            direct = self.sdk_http(server, steps(spec), **client)
            self.assertEqual([next(iter(event)) for event in direct], ["connected", *["result"] * 7, "closed"])
            agent = self.agent({"example": policy_for(spec)})
            governed = self.sdk_http(server, steps(spec), **client)
            self.assertEqual(len(governed), len(direct))
            connected, *results, closed = governed
            self.assertEqual({**connected["connected"], "session": None}, {**direct[0]["connected"], "session": None})
            self.assertEqual(closed, direct[-1])
            for number in (0, 1, 3, 4, 6):
                self.assertEqual(results[number], direct[1 + number])
            self.assert_denied_result(results[2]["result"], rule=f"/tools/{spec.denied[0]}/deny_if",
                                      reason="Requires human approval.")
            self.assert_denied_result(results[5]["result"], code=LIMITED)
            # A list that may be kept for a while (ttlMs, in the revisions that have it) is asked for once.
            is_kept = "notes-http-py" in spec.match.values() and connected["connected"].get("negotiated", "") >= REVISION
            self.assert_judged(agent, "tools/list", count=1 if is_kept else 2)
            self.assert_judged(agent, "tools/call", count=3)
            denied = self.assert_judged(agent, "tools/call", "deny", count=2)
            self.assertEqual([r["tool"] for r in denied], [spec.denied[0], spec.limited[0]])
            self.assertEqual({r["transport"] for r in denied}, {"http"})

    def test_v1(self):
        for spec in HTTP_SPECS:
            self.check(spec, sdk="v1")

    def test_v2_legacy(self):
        for spec in HTTP_SPECS:
            self.check(spec, sdk="v2", mode="legacy")

    def test_v2_auto(self):
        for spec in HTTP_SPECS:
            self.check(spec, sdk="v2", mode="auto")

    def test_v2_pinned(self):
        for spec in HTTP_SPECS:
            if spec.modern:
                self.check(spec, sdk="v2", mode=REVISION)

    def test_http_and_sse(self):
        for sdk in ("v1", "v2"):
            self.check(EVERYTHING_SSE, sdk=sdk, transport="sse")


class TestProgress(HttpEndToEnd):
    """Notifications on the way to an answer."""

    def test_progress(self):
        for spec, call, modes in ((MODERN_HTTP, {"name": "count"}, ("legacy", REVISION)),
                                  (PYTHON_HTTP, {"name": "count", "arguments": {"steps": 5}}, ("legacy",)),
                                  (EVERYTHING_HTTP, {"name": "trigger-long-running-operation",
                                                     "arguments": {"duration": 1, "steps": 4}}, ("legacy",))):
            for mode in modes:
                with self.case(server=spec.name, mode=mode):
                    server = self.server(spec)
                    direct = self.sdk_http(server, [{"call": call, "progress": True}], sdk="v2", mode=mode)
                    self.assertGreaterEqual(direct[1]["result"]["progress"], 3)
                    agent = self.agent({"allow": policy(spec.match)})
                    self.assertEqual(self.sdk_http(server, [{"call": call, "progress": True}], sdk="v2", mode=mode)[1:], direct[1:])
                    self.assert_judged(agent, "tools/call")


class TestHidden(HttpEndToEnd):
    def test_hidden_tools_are_not_listed(self):
        for spec, client in ((EVERYTHING_HTTP, {"sdk": "v1"}), (EVERYTHING_SSE, {"sdk": "v1", "transport": "sse"}),
                             (MODERN_HTTP, {"sdk": "v2", "mode": REVISION}), (PYTHON_HTTP, {"sdk": "v2", "mode": REVISION})):
            with self.case(server=spec.name, **client):
                hidden = spec.denied[0]
                script = [{"list": True}, {"call": {"name": hidden, "arguments": spec.denied[1]}}]
                server = self.server(spec)
                tools = self.sdk_http(server, script, **client)[1]["result"]["tools"]
                self.assertIn(hidden, [tool["name"] for tool in tools])
                self.agent({"hide": policy(spec.match, hide=[hidden])})
                _, listed, called, _ = self.sdk_http(server, script, **client)
                self.assertEqual(listed["result"]["tools"], [tool for tool in tools if tool["name"] != hidden])
                self.assert_denied_result(called["result"], rule="(hidden)")


class TestInspector(HttpEndToEnd):
    def run_inspector(self, server, *options):
        return inspector((server.url,), "--transport", server.spec.transport, *options)

    def test_list_and_call(self):
        for spec in (EVERYTHING_HTTP, EVERYTHING_SSE):
            with self.case(server=spec.name):
                server = self.server(spec)
                listed = self.run_inspector(server, "--method", "tools/list")
                call = ("--method", "tools/call", "--tool-name")
                echoed = self.run_inspector(server, *call, "echo", "--tool-arg", "message=hello")
                agent = self.agent({"example": policy(spec.match, denied="get-env", hide=["get-sum"])})
                tools = [tool for tool in listed["tools"] if tool["name"] != "get-sum"]
                self.assertEqual(self.run_inspector(server, "--method", "tools/list")["tools"], tools)
                self.assertEqual(self.run_inspector(server, *call, "echo", "--tool-arg", "message=hello"), echoed)
                self.assert_denied_result(self.run_inspector(server, *call, "get-env"), code=DENIED)
                records = self.assert_judged(agent, "tools/call", "deny")
                self.assertEqual(records[0]["peer"]["exe"], os.path.realpath(NODE))
                self.stop_agent(agent)


class TestCurl(HttpEndToEnd):
    HEAD = ("-H", "Content-Type: application/json", "-H", "Accept: application/json, text/event-stream")

    def curl(self, *words, data=None):
        return subprocess.run(["curl", "-sS", "--max-time", "20", *words], input=data, capture_output=True, check=True).stdout

    def call(self, server, tool, arguments, *options):
        body = json.dumps({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
        return json.loads(self.curl(*self.HEAD, "--data-binary", "@-", *options, server.url, data=body.encode()))

    def test_curl(self):
        server = self.server(PYTHON_HTTP)
        long = {"text": "x" * (3 << 20)}  # curl asks first (Expect: 100-continue) when it is this long
        ways = {"plain": ("echo", {"text": "a"}, ()), "long": ("echo", long, ()), "denied": ("delete_note", {}, ()),
                "denied, long": ("delete_note", long, ()), "chunked": ("echo", {"text": "a"}, ("-H", "Transfer-Encoding: chunked")),
                "denied, chunked": ("delete_note", {}, ("-H", "Transfer-Encoding: chunked")),
                "HTTP/1.0": ("echo", {"text": "a"}, ("--http1.0",)), "denied, HTTP/1.0": ("delete_note", {}, ("--http1.0",))}
        direct = {name: self.call(server, tool, arguments, *options) for name, (tool, arguments, options) in ways.items()}
        agent = self.agent({"example": policy(PYTHON_HTTP.match, denied="delete_note")})
        for name, (tool, arguments, options) in ways.items():
            with self.subTest(way=name):
                answer = self.call(server, tool, arguments, *options)
                if name.startswith("denied"):
                    self.assertEqual(answer["id"], 5)
                    self.assert_denied(answer)
                else:
                    self.assertEqual(answer, direct[name])
        record = self.assert_judged(agent, "tools/call", "deny", count=3)[0]
        self.assertEqual(record["peer"]["exe"], os.path.realpath(shutil.which("curl")))
        self.assert_judged(agent, "tools/call", "allow", count=4)

    def test_files_by_curl(self):
        server = self.server(PYTHON_HTTP)
        urls = [f"http://{server.authority}{path}" for path in ("/health", "/file?bytes=100000", "/chunked?bytes=100000")]
        direct = [self.curl(url) for url in urls]
        self.agent({"deny": policy(PYTHON_HTTP.match, default="deny")})
        self.assertEqual([self.curl(url) for url in urls], direct)
        self.assert_denied(self.call(server, "echo", {}))


if __name__ == "__main__":
    main()
