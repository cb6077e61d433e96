"""The process that reads is not always the one that was started: the session is governed, once, wherever it ends up."""
import shutil
import socket
import subprocess
import sys

from governed import *  # noqa: F403
from governed import (DENIED, EVERYTHING, LIMITED, NODE, NODE_DIRECTORY, NOTES_PY, PYTHON, SERVERS, EndToEnd, Path, descendants,
                      descriptors, json, main, os, policy, policy_for, wait_for)

SERVER_PY = str(SERVERS / "python" / "server.py")

DAEMON_FORK = f"""
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv({PYTHON!r}, [{PYTHON!r}, {SERVER_PY!r}])
    os._exit(0)
os.wait()
os._exit(0)
"""

DUP_AND_EXEC = f"""
import os
saved = os.dup(0), os.dup(1)
null = os.open("/dev/null", os.O_RDWR)
os.dup2(null, 0), os.dup2(null, 1)
os.dup2(saved[0], 0), os.dup2(saved[1], 1)
os.execv({PYTHON!r}, [{PYTHON!r}, {SERVER_PY!r}])
"""


class TestChains(EndToEnd):
    def check(self, command, server, *, code=0, channel="socketpair", **options):
        agent = self.agent({"example": policy_for(server)})
        client = self.client(command, channel=channel, **options)
        client.initialize()
        self.assert_denied(client.call(*server.denied))
        for _ in range(2):
            self.assert_result(client.call(*server.limited))
        self.assert_denied(client.call(*server.limited), code=LIMITED)
        self.assert_result(client.call(*server.allowed))
        self.assertEqual(client.shutdown(), code)
        # One session, and each call once, however many processes held the descriptors.
        agent.wait_audit("session_end")
        self.assertEqual(len(agent.wait_audit("session_start", count=1)), 1)
        self.assertEqual(len(agent.wait_audit("message", direction="c2s", method="tools/call", count=5)), 5)
        self.stop_agent(agent)

    def test_npx(self):
        """client -> npm exec -> sh -c -> node, all four with the same two sockets."""
        home = self.directory()
        path = f"{Path(NODE).parent}:{os.environ['PATH']}"
        npx = shutil.which("npx", path=os.environ["PATH"])
        self.assertIsNotNone(npx, "npx is not installed")
        environment = {"HOME": str(home), "PATH": path, "npm_config_update_notifier": "false", "npm_config_cache": str(home)}
        for channel in ("socketpair", "pipe"):
            with self.case(channel=channel):
                self.check((npx, "--offline", "--no", "--", "mcp-server-everything", "stdio"), EVERYTHING, channel=channel,
                           cwd=NODE_DIRECTORY, env=environment)

    def test_shells_and_wrappers(self):
        server = " ".join(NOTES_PY.command)
        for name, command in {
            "sh stays": ("sh", "-c", f"{server}; exit $?"),
            "sh execs": ("sh", "-c", f"exec {server}"),
            "sh in sh": ("sh", "-c", f"sh -c '{server}; exit $?'; exit $?"),
            "env": ("env", "A=1", "nice", "-n", "1", *NOTES_PY.command),
            "timeout": ("timeout", "60", *NOTES_PY.command),
            "setsid": ("setsid", "--wait", *NOTES_PY.command),
            "late exec": ("sh", "-c", f"sleep 0.3; exec {server}"),
        }.items():
            with self.case(chain=name):
                self.check(command, NOTES_PY, code=7, channel="pipe")

    def check_adopted(self, command, server, chain, channel, **options):
        """The agent comes when all of the chain is there and goes while it is: every process has its own again."""
        client = self.client(command, channel=channel, **options)
        client.initialize()
        self.assert_result(client.call(*server.allowed))
        processes = [client.pid, *descendants(client.pid)]
        self.assertEqual(len([p for p in processes if client.original_ends[0] in os.readlink(f"/proc/{p}/fd/0")]), chain)
        before = {p: descriptors(p, inodes=True) for p in processes}
        agent = self.agent({"example": policy_for(server)})
        self.assert_denied(client.call(*server.denied))
        self.assert_result(client.call(*server.allowed))
        self.assertEqual(len(agent.wait_audit("session_start")), 1)
        self.stop_agent(agent)
        self.assertEqual({p: descriptors(p, inodes=True) for p in processes}, before)
        self.assert_result(client.call(*server.denied))
        self.assertEqual(client.shutdown(), server.exit_code)

    def test_chains_that_run_already(self):
        home = self.directory()
        environment = {"HOME": str(home), "PATH": f"{Path(NODE).parent}:{os.environ['PATH']}",
                       "npm_config_update_notifier": "false", "npm_config_cache": str(home)}
        npx = (shutil.which("npx"), "--offline", "--no", "--", "mcp-server-everything", "stdio")
        shells = ("sh", "-c", f"sh -c '{' '.join(NOTES_PY.command)}; exit $?'; exit $?")
        for channel in ("socketpair", "pipe"):
            with self.case(channel=channel, chain="npx"):
                self.check_adopted(npx, EVERYTHING, 3, channel, cwd=NODE_DIRECTORY, env=environment)
            with self.case(channel=channel, chain="shells"):
                self.check_adopted(shells, NOTES_PY, 3, channel)

    def test_double_fork(self):
        """The parents are gone when the server begins to read; it is nobody's child that the client knows."""
        self.check((PYTHON, "-c", DAEMON_FORK), NOTES_PY, channel="pipe")

    def test_dup_before_exec(self):
        self.check((PYTHON, "-c", DUP_AND_EXEC), NOTES_PY, channel="pipe")

    def test_two_servers_of_one_client_are_two_sessions(self):
        agent = self.agent({"example": policy_for(NOTES_PY)})
        first, second = self.client(NOTES_PY.command), self.client(NOTES_PY.command)
        for client in (first, second):
            client.initialize()
        for client in (first, second):
            self.assert_denied(client.call("delete_note"), code=DENIED)
            self.assertEqual(client.shutdown(), 7)
        ended = agent.wait_audit("session_end", count=2)
        self.assertEqual(len({r["session"] for r in ended}), 2)


class TestOneSocket(EndToEnd):
    """One AF_UNIX socket for both directions, as inetd and socat give."""

    def test_what_is_answered_after_the_half_close_arrives(self):
        agent = self.agent({"p": policy({"command": "*one-socket*"}, denied="delete_note")})
        script = ("import os\nwhile os.read(0, 4096): pass\n"
                  "text = b'x' * 3000000 + b'\\n'\nwhile text: text = text[os.write(1, text):]\n")
        ours, theirs = socket.socketpair()
        server = subprocess.Popen([sys.executable, "-c", script, "one-socket"], stdin=theirs, stdout=theirs)
        theirs.close()
        with ours:
            ours.sendall(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
            ours.shutdown(socket.SHUT_WR)
            ours.settimeout(20)
            received = 0
            while data := ours.recv(1 << 16):
                received += len(data)
        self.assertEqual(received, 3000001)
        self.assertEqual(server.wait(timeout=20), 0)
        self.assertEqual(agent.wait_audit("session_end")[0]["frames"]["forwarded"], 1)


if __name__ == "__main__":
    main()
