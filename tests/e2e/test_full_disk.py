"""The disk fills up: audit log, counters, approvals and pins each say so, sessions go on, and all is well again once there is room."""
import ctypes
import json
import os
import signal
import time

from governed import *  # noqa: F403
from governed import BINARY, LIMITED, NOTES_PY, EndToEnd, main, policy, subprocess, wait_for

CLONE_NEWNS = 0x20000
DISK_BYTES = 4 << 20
HEADER_BYTES, CELL_BYTES, CELLS = 4096, 512, 2048  # of the counter file as it is first made


def run(*words):
    subprocess.run([str(word) for word in words], check=True, stdin=subprocess.DEVNULL, capture_output=True)


def setUpModule():
    """Mounts of this process and of its children only: they go with them, whatever happens."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    run("mount", "--make-rprivate", "/")


class Disk:
    def __init__(self, path):
        self.path = path
        path.mkdir()
        run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "tmpfs", path)

    def fill(self):
        """To the last byte."""
        with open(self.path / "rubbish", "ab", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while file.write(bytes(size)):
                        pass
                except OSError:
                    continue

    def free(self):
        (self.path / "rubbish").unlink()

    def remove(self):
        run("umount", "-l", self.path)


class TestFullDisk(EndToEnd):
    def disk(self):
        disk = Disk(self.directory() / "disk")
        self.addCleanup(disk.remove)
        return disk

    def begin(self, server=NOTES_PY):
        client = self.client(server.command)
        client.initialize()
        return client

    def problems(self, agent):
        return "\n".join(agent.status()["problems"])

    def assert_told(self, agent, what):
        """In the log when it began and when it was over, and once each."""
        wait_for(lambda: f"over: {what}" in agent.log(), "the end of it in the log", interval=0.05)
        lines = [line for line in agent.log().splitlines() if what in line]
        self.assertEqual([("over" in line) for line in lines], [False, True], lines)
        self.assertRegex(lines[0], "(?i)no space left")
        self.assertNotIn(what, self.problems(agent))

    def test_the_audit_log(self):
        """Calls do not wait for it; what was lost is counted, and stands in the log as a gap once there is room."""
        disk = self.disk()
        agent = self.agent({"p": policy(NOTES_PY.match, denied="delete_note")}, audit=disk.path / "audit.jsonl")
        client = self.begin()
        agent.wait_audit("message", count=2)
        disk.fill()
        for _ in range(200):
            self.assert_result(client.call("echo", {"text": "x"}))
            self.assert_denied(client.call("delete_note"))
        wait_for(lambda: "audit records are lost: " in self.problems(agent), "the status saying so")
        lost = wait_for(lambda: agent.status()["audit"]["lost"], "the loss being counted")
        disk.free()
        wait_for(lambda: "audit records are lost: " not in self.problems(agent), "the status saying nothing any more")
        self.assert_result(client.call("echo", {"text": "after"}, identifier="after"))
        wait_for(lambda: '"rpc_id":"after"' in agent.audit_path.read_text(), "the record of a call after that")
        self.assert_told(agent, "audit records are lost")
        self.assertEqual(client.shutdown(), 7)
        wait_for(lambda: agent.sessions() == [], "the session's end")
        frames, figures = agent.status()["frames"], agent.status()["audit"]
        self.assertEqual((frames["in"], frames["forwarded"] + frames["denied"]), (403, 403))
        self.assertEqual(agent.stop(), 0)
        # A line may have been cut where the disk was full: only that one.
        whole, cut = [], 0
        for line in agent.audit_path.read_text().splitlines():
            try:
                whole.append(json.loads(line))
            except ValueError:
                cut += 1
        self.assertLessEqual(cut, 1)
        gaps = [record for record in whole if record["type"] == "gap"]
        self.assertGreaterEqual(figures["lost"], lost)
        self.assertEqual(sum(record["lost"] for record in gaps), figures["lost"])
        self.assertIn("No space left", gaps[0]["cause"])
        self.assertEqual(len({record["id"] for record in whole}), len(whole))

    def limited(self, maximum):
        return {"p": policy(NOTES_PY.match, tools={"echo": {"limits": [{"counter": "c", "window": "day", "max": maximum}]}})}

    def counted(self, directory):
        done = subprocess.run([str(BINARY), "counters", "--json", "--control", "/none", "--state", str(directory)],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30)
        return [each["count"] for each in json.loads(done.stdout)["counters"]]

    def test_counters(self):
        """They are counted in memory meanwhile, and are in the file from the next charge on."""
        disk = self.disk()
        config = {"state_directory": str(disk.path / "state")}
        agent = self.agent(self.limited(5), config=config)
        client = self.begin()
        disk.fill()
        for _ in range(3):
            self.assert_result(client.call("echo", {"text": "x"}))
        self.assertEqual(agent.status()["counters"]["unsaved"], 3)
        self.assertIn("what limits count would not outlive the agent: ", self.problems(agent))
        disk.free()
        before = time.monotonic()
        wait_for(lambda: time.monotonic() - before > 1.1, "the agent looking for room again")
        self.assert_result(client.call("echo", {"text": "x"}))
        self.assert_told(agent, "what limits count would not outlive the agent")
        client.shutdown()
        self.stop_agent(agent)
        self.assertEqual(self.counted(disk.path / "state"), [4])
        self.agent(self.limited(5), config=config)
        client = self.begin()
        self.assert_result(client.call("echo", {"text": "x"}))
        self.assert_denied(client.call("echo", {"text": "x"}), code=LIMITED)

    def test_a_counter_file_with_holes(self):
        """As a backup may make it. A full disk must not be the end of whoever writes there."""
        disk = self.disk()
        state = disk.path / "state"
        agent = self.agent(self.limited(5), config={"state_directory": str(state)})
        client = self.begin()
        self.assert_result(client.call("echo", {"text": "x"}))
        client.shutdown()
        self.stop_agent(agent)
        os.truncate(state / "counters", HEADER_BYTES)  # nothing counted, and all of it a hole
        os.truncate(state / "counters", HEADER_BYTES + CELLS * CELL_BYTES)
        for room in (True, False):  # for what the holes lack
            with self.case(room=room):
                if not room:
                    os.truncate(state / "counters", HEADER_BYTES)
                    os.truncate(state / "counters", HEADER_BYTES + CELLS * CELL_BYTES)
                    disk.fill()
                    os.truncate(disk.path / "rubbish", os.path.getsize(disk.path / "rubbish") - (256 << 10))
                agent = self.agent(self.limited(5), config={"state_directory": str(state)})
                disk.fill()
                client = self.begin()
                for _ in range(3):
                    self.assert_result(client.call("echo", {"text": "x"}))
                self.assertEqual(agent.status()["counters"]["unsaved"], 0 if room else 3)
                client.shutdown()
                disk.free()
                self.stop_agent(agent)
                self.assertEqual(self.counted(state), [3] if room else [])

    def test_approvals(self):
        """What cannot be kept is not asked for, and what cannot be noted as used does not go on."""
        disk = self.disk()
        agent = self.agent({"p": policy(NOTES_PY.match, tools={"echo": {"action": "require_approval"}})},
                           config={"state_directory": str(disk.path / "state")})
        client = self.begin()
        early = client.call("echo", {"text": "early"})["error"]["data"]["approval_id"]
        agent.command("approvals", "approve", early)
        disk.fill()
        text = "x" * 60000
        for _ in range(2):
            self.assert_denied(client.call("echo", {"text": text}), rule="(approval not recorded)")
        self.assertIn("a request for approval cannot be kept: ", self.problems(agent))
        disk.free()
        asked = client.call("echo", {"text": text})["error"]["data"]["approval_id"]
        self.assert_told(agent, "approvals cannot be kept")
        agent.command("approvals", "approve", asked)
        self.assert_result(client.call("echo", {"text": text}))
        self.assert_result(client.call("echo", {"text": "early"}))
        self.assertEqual(client.shutdown(), 7)

    def test_pins(self):
        """They hold in memory meanwhile, and are on the disk soon after there is room, though nothing is listed again."""
        disk = self.disk()
        rules = {"p": policy(NOTES_PY.match, pin=True)}
        agent = self.agent(rules, config={"state_directory": str(disk.path / "state")}, keeper=True)
        client = self.begin()
        disk.fill()
        client.request("tools/list")
        self.assertIn("pins are not kept: ", self.problems(agent))
        pins = agent.status()["pins"]["count"]
        self.assertGreater(pins, 0)
        disk.free()
        self.assert_told(agent, "pins are not kept")
        os.kill(agent.pid, signal.SIGKILL)
        agent.wait_ready()
        self.assertEqual(agent.status()["pins"]["count"], pins)
        self.assert_result(client.call("echo", {"text": "x"}))
        self.assertEqual(client.shutdown(), 7)

    def test_an_agent_that_starts(self):
        """Where it cannot, it says why; where there is room again, it does."""
        disk = self.disk()
        config = {"state_directory": str(disk.path / "state")}
        disk.fill()
        with self.assertRaises(AssertionError) as raised:
            self.agent({"p": policy(NOTES_PY.match)}, config=config)
        self.assertRegex(str(raised.exception), "(?i)no space left")
        process = self._agents.pop().process
        process.wait(10)
        process.stdout.close()
        disk.free()
        agent = self.agent({"p": policy(NOTES_PY.match)}, config=config)
        client = self.begin()
        client.shutdown()
        self.stop_agent(agent)


if __name__ == "__main__":
    main()
