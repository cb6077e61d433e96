"""callgate draft: from recorded lists, from servers on stdio and over HTTP; what is drafted is checked and governs."""
import subprocess

from governed import *  # noqa: F403
from governed import (BINARY, CPP_HTTP, EVERYTHING_HTTP, MODERN_HTTP, MODULES, NODE, PYTHON, PYTHON_HTTP, PYTHON_HTTP_SSE, SERVERS,
                      EndToEnd, HttpServer, Path, json, main)


def callgate(*words, stdin=b"", seconds=60):
    done = subprocess.run([str(BINARY), *map(str, words)], input=stdin, capture_output=True, timeout=seconds)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


TOOLS = [{"name": "get_note"}, {"name": "add_note"}, {"name": "run_report", "description": "Runs it."},
         {"name": "refund"}, {"name": "delete_note", "annotations": {"readOnlyHint": True}}]
RISKS = {"get_note": "read", "add_note": "write", "run_report": "execute", "refund": "financial", "delete_note": "destructive"}


class Drafts(EndToEnd):
    def check(self, text):
        """`callgate check` passes it, and what each tool's comment says its class is."""
        path = self.directory() / "draft.json"
        path.write_text(text)
        path.chmod(0o644)
        code, out, _ = callgate("check", path)
        self.assertEqual(code, 0, out)
        document = json.loads(text)
        risks = {name: tool["$comment"].split(":")[0] for name, tool in document["tools"].items()}
        return document, risks

    def drafted(self, *words, **more):
        code, out, err = callgate("draft", *words, **more)
        self.assertEqual(code, 0, err)
        document, risks = self.check(out)
        return document, risks, err


class TestRecorded(Drafts):
    def test_every_form(self):
        whole = {"jsonrpc": "2.0", "id": 1, "result": {"tools": TOOLS}}
        pages = "\n".join(json.dumps({"jsonrpc": "2.0", "id": i, "result": {"tools": [tool]}}) for i, tool in enumerate(TOOLS))
        texts = set()
        for form in (json.dumps(whole), json.dumps(whole["result"], indent=2), json.dumps(TOOLS), json.dumps(TOOLS[::-1]), pages):
            code, out, err = callgate("draft", "-", "--package", "notes", stdin=form.encode())
            self.assertEqual(code, 0, err)
            self.assertIn("5 tools: 1 read, 1 write, 1 execute, 0 secret, 1 financial, 1 destructive", err)
            texts.add(out)
        self.assertEqual(len(texts), 1, "the same tools, the same text")
        document, risks = self.check(texts.pop())
        self.assertEqual(risks, RISKS)
        self.assertEqual(document["hide"], ["delete_note"])
        self.assertEqual(document["server"], {"package": "notes"})
        self.assertIn("no proof", document["tools"]["delete_note"]["$comment"])

    def test_from_a_file_without_a_server(self):
        path = self.directory() / "list.json"
        path.write_text(json.dumps({"tools": TOOLS}))
        document, _, err = self.drafted(path)
        self.assertNotIn("server", document)
        self.assertIn("--package", err)

    def test_what_is_no_list(self):
        for text in (b"", b"{}", b"[]", b"{\"tools\":", b"\xff\xfe", b"7"):
            code, out, err = callgate("draft", "-", stdin=text)
            self.assertEqual((code, out), (1, ""), text)
            self.assertTrue(err.startswith("callgate: standard input: "), err)
        self.assertEqual(callgate("draft", "/nonexistent")[0], 1)
        self.assertEqual(callgate("draft")[0], 2)
        self.assertEqual(callgate("draft", "x", "--", "y")[0], 2)
        self.assertEqual(callgate("draft", "--")[0], 2)
        code, out, err = callgate("draft", "-", "--listen", "nowhere", stdin=json.dumps(TOOLS).encode())
        self.assertEqual((code, out), (1, ""))
        self.assertIn("ADDRESS:PORT", err)


class TestStdio(Drafts):
    SEED = SERVERS / "seed" / "session-forge" / "index.mjs"

    def test_the_package_is_found_out(self):
        document, risks, _ = self.drafted("--", NODE, self.SEED)
        self.assertEqual(document["server"], {"package": "session-forge"})
        self.assertEqual(risks["data_delete"], "destructive")
        self.assertEqual(risks["data_manage"], "destructive")
        self.assertEqual(risks["session_checkpoint"], "write")

    def test_behind_a_shell(self):
        document, _, _ = self.drafted("--", "sh", "-c", f"'{NODE}' '{self.SEED}'; true")
        self.assertEqual(document["server"], {"package": "session-forge"})

    def test_published_servers(self):
        scripts = MODULES / "@modelcontextprotocol"
        directory = self.directory()
        _, risks, _ = self.drafted("--", NODE, scripts / "server-filesystem" / "dist" / "index.js", directory)
        self.assertEqual(risks["read_text_file"], "read")
        self.assertNotEqual(risks["write_file"], "read")
        self.assertNotEqual(risks["move_file"], "read")
        document, risks, _ = self.drafted("--", NODE, scripts / "server-memory" / "dist" / "index.js")
        self.assertEqual(document["server"], {"package": "@modelcontextprotocol/server-memory"})
        self.assertEqual(risks["delete_entities"], "destructive")
        self.assertEqual(risks["read_graph"], "read")

    def server(self, body):
        path = self.directory() / "server.py"
        path.write_text("import json, sys\nrequests = (json.loads(line) for line in sys.stdin)\n"
                        "def say(value):\n    print(json.dumps(value), flush=True)\n" + body)
        return PYTHON, path

    def test_pages_noise_and_requests_of_the_server(self):
        command = self.server("""
print("starting up", flush=True)
for request in requests:
    if request.get("method") == "initialize":
        say({"jsonrpc": "2.0", "id": "s1", "method": "roots/list"})
        say({"jsonrpc": "2.0", "id": "s2", "method": "ping"})
        replies = [next(requests), next(requests)]
        assert replies[0]["error"]["code"] == -32601 and replies[1]["result"] == {}, replies
        say({"jsonrpc": "2.0", "id": request["id"], "result": {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {}}})
    elif request.get("method") == "tools/list":
        page = int(request["params"].get("cursor", 0))
        say({"jsonrpc": "2.0", "method": "notifications/message", "params": {}})
        more = {"nextCursor": str(page + 1)} if page < 2 else {}
        say({"jsonrpc": "2.0", "id": request["id"], "result": {"tools": [{"name": f"get_{page}"}], **more}})
""")
        document, risks, _ = self.drafted("--", *command)
        self.assertEqual(risks, {"get_0": "read", "get_1": "read", "get_2": "read"})
        self.assertEqual(list(document["server"]), ["command"])

    def test_a_server_without_a_handshake(self):
        command = self.server("""
for request in requests:
    if "id" not in request: continue
    version = request["params"].get("_meta", {}).get("io.modelcontextprotocol/protocolVersion")
    if request["method"] == "tools/list" and version == "2026-07-28":
        say({"jsonrpc": "2.0", "id": request["id"], "result": {"resultType": "complete", "tools": [{"name": "get_x"}]}})
    else:
        say({"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32601, "message": "no such method"}})
""")
        self.assertEqual(self.drafted("--", *command)[1], {"get_x": "read"})

    def test_servers_that_are_none(self):
        for body, what in (("sys.exit(3)", "ended without an answer"), ("print('x' * 20_000_000, flush=True)\nsys.stdin.read()", "too long"),
                           ("for r in requests:\n    if 'id' in r: say({'jsonrpc': '2.0', 'id': r['id'], 'result': {}})", "no list of tools")):
            code, out, err = callgate("draft", "--", *self.server(body))
            self.assertEqual((code, out), (1, ""), body)
            self.assertIn(what, err)
        code, _, err = callgate("draft", "--", "/nonexistent/server")
        self.assertEqual(code, 1)
        self.assertIn("No such file", err)

    def test_nothing_is_left_of_a_server_that_will_not_end(self):
        marks = self.directory() / "pids"
        command = self.server(f"""
import os, signal, subprocess, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"], stdout=subprocess.DEVNULL)
open({str(marks)!r}, "w").write(f"{{os.getpid()}} {{child.pid}}")
for request in requests:
    if "id" in request: say({{"jsonrpc": "2.0", "id": request["id"], "result": {{"tools": [{{"name": "get_x"}}]}}}})
while True: time.sleep(1)
""")
        self.drafted("--", *command)
        for pid in map(int, marks.read_text().split()):
            alive = True
            try:
                alive = Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
            except OSError:
                alive = False
            self.assertFalse(alive, f"{pid} is still there")


class TestHttp(Drafts):
    def test_servers(self):
        for spec in (EVERYTHING_HTTP, MODERN_HTTP, PYTHON_HTTP, PYTHON_HTTP_SSE, CPP_HTTP):
            with self.case(server=spec.name):
                server = HttpServer(spec)
                self.addCleanup(server.stop)
                document, risks, _ = self.drafted(f"http://127.0.0.1:{server.port}{spec.path}")
                self.assertEqual(document["server"], {"listen": f"127.0.0.1:{server.port}", "path": spec.path})
                self.assertIn(spec.allowed[0], risks)

    def test_where_nobody_answers(self):
        code, out, err = callgate("draft", "http://127.0.0.1:1/mcp")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("http://127.0.0.1:1/mcp", err)
        self.assertEqual(callgate("draft", "http://127.0.0.1:1/mcp", "--header", "broken")[0], 1)

    def test_what_is_no_mcp_server(self):
        server = HttpServer(PYTHON_HTTP)
        self.addCleanup(server.stop)
        code, _, err = callgate("draft", f"http://127.0.0.1:{server.port}/elsewhere")
        self.assertEqual(code, 1)
        self.assertIn("HTTP status 404", err)


if __name__ == "__main__":
    main()
