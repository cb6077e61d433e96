"""I7: one call counts once, however many processes it passes: one judgement, one charge, one record."""
import shutil
import sys

from governed import *  # noqa: F403
from governed import LIMITED, NODE, NODE_DIRECTORY, PYTHON, SERVERS, EndToEnd, Path, json, main, os, policy, signal, wait_for
from test_shared_input import SERVER as SHARED, STARTS_TWO

SERVER_PY = str(SERVERS / "python" / "server.py")
NPX = (shutil.which("npx"), "--offline", "--no", "--", "mcp-server-everything", "stdio")

# A program between client and server that passes lines on; it gives requests ids of its own, as gateways do, with --renumber.
RELAY = """
import json, subprocess, sys, threading
renumber = sys.argv[1] == "--renumber"
child = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
given = {}
def back():
    for line in child.stdout:
        message = json.loads(line)
        if message.get("id") in given:
            message["id"] = given.pop(message["id"])
            line = json.dumps(message).encode() + b"\\n"
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
reader = threading.Thread(target=back)
reader.start()
for number, line in enumerate(sys.stdin.buffer):
    message = json.loads(line)
    if renumber and "id" in message:
        given[f"own {number}"] = message["id"]
        message["id"] = f"own {number}"
        line = json.dumps(message).encode() + b"\\n"
    child.stdin.write(line)
    child.stdin.flush()
child.stdin.close()
reader.join()
sys.exit(child.wait())
"""


class TestCountedOnce(EndToEnd):
    CALLS = 4

    def check(self, match, command, *, channel, code, meanwhile=None, options=None):
        """So many calls as the limit has, and one more; whatever was between client and server."""
        limit = {"counter": "calls", "window": "day", "max": self.CALLS}
        agent = self.agent({"p": policy(match, tools={"echo": {"limits": [limit]}}, denied="get-env")})
        client = self.client(command, channel=channel, **(options or {}))
        if meanwhile:
            meanwhile(agent, client)
        client.initialize()
        for _ in range(self.CALLS):
            self.assert_result(client.call("echo", {"text": "x", "message": "x"}))
        self.assert_denied(client.call("echo", {"text": "x", "message": "x"}), code=LIMITED)
        listed = json.loads(agent.command("counters", "--json").stdout)["counters"]
        self.assertEqual([(each["counter"], each["count"]) for each in listed], [("calls", self.CALLS)])
        self.assertEqual(client.shutdown(), code)
        agent.wait_audit("session_end")
        calls = agent.wait_audit("message", count=self.CALLS + 1, direction="c2s", method="tools/call")
        self.assertEqual([record["decision"] for record in calls], ["allow"] * self.CALLS + ["deny"])
        answers = agent.audit("message", direction="s2c", kind="response", tool="echo")
        self.assertEqual([record["answers"] for record in answers], [record["id"] for record in calls[:-1]])
        self.stop_agent(agent)

    def test_npx(self):
        home = self.directory()
        environment = {"HOME": str(home), "PATH": f"{Path(NODE).parent}:{os.environ['PATH']}", "npm_config_cache": str(home),
                       "npm_config_update_notifier": "false"}
        # All of the chain is named by it.
        self.check({"command": "*mcp-server-everything*"}, NPX, channel="socketpair", code=0,
                   options={"cwd": NODE_DIRECTORY, "env": environment})

    def test_a_relay_between(self):
        for option in ("--as-it-is", "--renumber"):
            with self.case(option=option):
                self.check({"package": "notes-py"}, (PYTHON, "-c", RELAY, option, PYTHON, SERVER_PY), channel="pipe", code=0)

    def test_a_pipeline(self):
        log = self.directory() / "log"
        self.check({"package": "notes-py"}, ("sh", "-c", f"tee {log} | {sys.executable} {SERVER_PY}"), channel="pipe", code=0)

    def test_two_processes_with_one_input(self):
        """The second reads what the first leaves."""
        def second(agent, client):
            agent.wait_audit("session_start")
            os.kill(client.pid, signal.SIGUSR1)
            wait_for(lambda: agent.audit("session_joined"), "the second server", interval=0.05)
        self.check({"command": "*shared-input*"}, (PYTHON, "-c", STARTS_TWO), channel="pipe", code=0, meanwhile=second,
                   options={"env": {"TWO": json.dumps([[*SHARED, "--late", "2000000"], SHARED])}})


if __name__ == "__main__":
    main()
