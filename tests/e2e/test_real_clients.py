"""Claude Code, Codex and Gemini CLI, each with a scratch HOME and a governed server (tests/run --clients)."""
from governed import *  # noqa: F403
from governed import (ANSWER_SECONDS, HARNESS, NODE, NOTES_PY, EndToEnd, JsonLines, Path, json, main, os, policy,
                      subprocess)

MODULES = HARNESS / "clients" / "node_modules"
HIDDEN = "delete_note"


class RealClient(EndToEnd):
    def setUp(self):
        self.assertTrue(MODULES.exists(), "the clients are not installed: packaging/setup --clients")
        self.home = self.directory()
        self.environment = {"HOME": str(self.home), "PATH": f"{Path(NODE).parent}:{os.environ['PATH']}", "TERM": "dumb",
                            "LC_ALL": "C.UTF-8", "CODEX_HOME": str(self.home / ".codex")}

    def deny(self):
        return self.agent({"notes": policy(NOTES_PY.match, hide=[HIDDEN])})

    def run_client(self, *command):
        done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=4 * ANSWER_SECONDS, cwd=self.home, env=self.environment)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def assert_governed(self, agent, *methods):
        """The session was judged: these methods were asked, and allowed."""
        agent.wait_audit("session_end")
        asked = [r["method"] for r in agent.audit("message", direction="c2s", decision="allow") if r["kind"] == "request"]
        self.assertEqual(asked[:len(methods)], list(methods))
        self.assertEqual(len(agent.wait_audit("session_start", count=1)), 1)


class TestClaudeCode(RealClient):
    def test_mcp_list(self):
        """`claude mcp list` shows no tools, but asks for them; the audit feed shows that it was answered."""
        claude = next(MODULES.glob("@anthropic-ai/claude-code-linux-*/claude"))
        self.run_client(claude, "mcp", "add", "--scope", "user", "notes", "--", *NOTES_PY.command)
        agent = self.deny()
        said = self.run_client(claude, "mcp", "list")
        self.assertRegex(said, r"notes: .*Connected")
        self.assert_governed(agent, "initialize", "tools/list")


class TestCodex(RealClient):
    def test_app_server(self):
        """`codex app-server`, asked for the state of its MCP servers, lists each one's tools."""
        codex = next(MODULES.glob("@openai/codex-linux-*/vendor/*/bin/codex"))
        (self.home / ".codex").mkdir()
        (self.home / ".codex" / "config.toml").write_text(
            f"[mcp_servers.notes]\ncommand = {json.dumps(NOTES_PY.command[0])}\nargs = {json.dumps(list(NOTES_PY.command[1:]))}\n")
        direct = self.tools(codex)
        self.assertIn(HIDDEN, direct)
        agent = self.deny()
        self.assertEqual(self.tools(codex), direct - {HIDDEN})
        self.assert_governed(agent, "initialize", "tools/list")

    def tools(self, codex):
        with subprocess.Popen([str(codex), "app-server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              cwd=self.home, env=self.environment) as server:
            lines = JsonLines(server.stdout)

            def ask(message):
                os.write(server.stdin.fileno(), json.dumps(message).encode() + b"\n")
                while "id" in message:
                    answer = lines.next(2 * ANSWER_SECONDS)
                    if answer.get("id") == message["id"]:
                        return answer["result"]
            ask({"id": 0, "method": "initialize", "params": {"clientInfo": {"name": "t", "title": "t", "version": "1"}}})
            ask({"method": "initialized"})
            listed = ask({"id": 1, "method": "mcpServerStatus/list", "params": {}})["data"]
            server.stdin.close()
            server.wait(ANSWER_SECONDS)
        return set(next(entry for entry in listed if entry["name"] == "notes")["tools"])


class TestGemini(RealClient):
    def test_mcp_list(self):
        """`gemini mcp list` connects and pings; it asks for no tools."""
        (self.home / ".gemini").mkdir()
        (self.home / ".gemini" / "settings.json").write_text(json.dumps({
            "security": {"folderTrust": {"enabled": False}},
            "mcpServers": {"notes": {"command": NOTES_PY.command[0], "args": list(NOTES_PY.command[1:])}}}))
        agent = self.deny()
        said = self.run_client(NODE, MODULES / "@google" / "gemini-cli" / "bundle" / "gemini.js", "mcp", "list")
        self.assertRegex(said, r"notes: .*Connected")
        self.assert_governed(agent, "initialize", "ping")


if __name__ == "__main__":
    main()
