"""What a power cut leaves: a disk as it was at some instant, on which nothing was written afterwards.

The state directory lies on a small ext4 of its own, which writes nothing by itself in the time that these tests take: what is on
the disk is what the agent has asked to be there.
"""
import contextlib
import ctypes
import os
import random
import sqlite3
import threading
import time

from governed import *  # noqa: F403
from governed import BINARY, EndToEnd, cpp_server, json, main, policy, subprocess

CLONE_NEWNS = 0x20000
DISK_BYTES = 8 << 20
COMMIT_SECONDS = 600  # of the journal, where nobody asks for it sooner
LOST_SECONDS = 1      # at most, of what counters say
APPROVED = 1


def run(*words):
    subprocess.run([str(word) for word in words], check=True, stdin=subprocess.DEVNULL, capture_output=True)


def setUpModule():
    """Mounts of this process and of its children only: they go with them, whatever happens."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    run("mount", "--make-rprivate", "/")


class Disk:
    def __init__(self, place, image=None):
        self.mounted = place / "mounted"
        self.mounted.mkdir()
        run("mount", "-t", "tmpfs", "-o", f"size={2 * DISK_BYTES}", "tmpfs", self.mounted)
        self.image = self.mounted / "disk"
        if image is None:
            self.image.touch()
            os.truncate(self.image, DISK_BYTES)
            run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image)
        else:
            self.image.write_bytes(image)
        self.files = self.mounted / "files"
        self.files.mkdir()
        run("mount", "-o", f"loop,commit={COMMIT_SECONDS}", self.image, self.files)

    def at_one_instant(self):
        """Its bytes, read twice: nothing was written in between."""
        last = None
        while (now := self.image.read_bytes()) != last:
            last = now
        return now

    def remove(self):
        run("umount", self.files)
        run("umount", self.mounted)


class TestPowerCut(EndToEnd):
    def disk(self, image=None):
        disk = Disk(self.directory(), image)
        self.addCleanup(disk.remove)
        return disk

    def cut(self, disk):
        """The state directory as the next start of the host finds it."""
        return self.disk(disk.at_one_instant()).files / "state"

    def begin(self, tool, client_of=cpp_server):
        server, disk = client_of(), self.disk()
        agent = self.agent({"p": policy(server.match, tools={"echo": tool})}, config={"state_directory": str(disk.files / "state")})
        client = self.client(server.command)
        client.initialize()
        return disk, agent, client

    def counted(self, state):
        listed = subprocess.run([str(BINARY), "counters", "--json", "--control", "/none", "--state", str(state)], check=True,
                                stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return sum(counter["count"] for counter in json.loads(listed.stdout)["counters"])

    def test_counters_lose_a_second_at_most(self):
        disk, agent, client = self.begin({"limits": [{"counter": "c", "window": "day", "max": 1_000_000}]})
        sent, answered, over = [], [], threading.Event()

        def call():
            while not over.is_set():
                sent.append(client.post("tools/call", {"name": "echo", "arguments": {"text": "x"}}))
                client.answer(sent[-1])
                answered.append(time.monotonic())
        thread = threading.Thread(target=call)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(over.set)
        for _ in range(3):
            time.sleep(random.uniform(1.1, 1.6))
            cut_at = time.monotonic()
            state = self.cut(disk)
            at_most = len(sent)
            at_least = sum(when <= cut_at - LOST_SECONDS for when in list(answered))
            count = self.counted(state) if (state / "counters").exists() else 0
            with self.case(at_least=at_least, count=count, at_most=at_most):
                self.assertGreaterEqual(count, at_least)
                self.assertLessEqual(count, at_most)
        self.assertGreater(at_least, 100)
        over.set()
        thread.join()
        client.shutdown()
        self.stop_agent(agent)
        self.assertEqual(self.counted(self.cut(disk)), len(answered), "a stop writes everything")

    def approvals(self, state):
        with contextlib.closing(sqlite3.connect(state / "state.db")) as database:
            return database.execute("SELECT id, state, used FROM approvals").fetchall()

    def test_approvals_lose_nothing(self):
        """What a client or a human was told is on the disk by then."""
        disk, agent, client = self.begin({"action": "require_approval"})
        asked = client.call("echo", {"text": "a"})["error"]["data"]["approval_id"]
        self.assertEqual([row[0] for row in self.approvals(self.cut(disk))], [asked])
        agent.command("approvals", "approve", asked)
        self.assertEqual(self.approvals(self.cut(disk)), [(asked, APPROVED, 0)])
        self.assert_result(client.call("echo", {"text": "a"}))
        self.assertEqual(self.approvals(self.cut(disk)), [(asked, APPROVED, 1)])
        client.shutdown()


if __name__ == "__main__":
    main()
