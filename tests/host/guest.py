"""What happens on the booted host: the package is installed, used, upgraded, removed and purged. /mnt holds callgate.deb
and tests/. The steps build on each other, so they are one test in order; the exit code is unittest's."""
import json
import os
import shutil
import signal
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, "/mnt/tests/harness")
os.environ["CALLGATE_SLOWNESS"] = "6"  # an emulated processor is slow
import callgate_harness.base as base  # noqa: E402
from callgate_harness.policies import policy_for  # noqa: E402
from callgate_harness.servers import NOTES_PY  # noqa: E402
from callgate_harness.stdio_client import StdioClient  # noqa: E402

HOME = Path("/home/alice")  # private: the agent has to look into it all the same
ALICE = 1000
DEB = "/mnt/callgate.deb"
AUDIT = Path("/var/log/callgate/audit.jsonl")


def run(*command, code=0):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    if code is not None and done.returncode != code:
        journal = subprocess.run(["journalctl", "-u", "callgate", "-n", "40", "--no-pager"], capture_output=True, text=True).stdout
        raise AssertionError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}\n{journal}")
    return done.stdout.strip()


def unit(name):
    return run("systemctl", "show", "callgate", "--property", name, "--value")


def files_of_ours():
    """Every path with the name in it, outside of what the kernel shows and of the test's own disk."""
    found = run("find", "/", "-xdev", "-path", "/mnt", "-prune", "-o", "-iname", "*callgate*", "-print", code=None).splitlines()
    found += run("find", "/run", "-iname", "*callgate*", code=None).splitlines()
    # The journal's and dpkg's own records are history, not leftovers; transient cgroup state goes with the unit.
    return sorted(path for path in found if path != "/run/systemd/units/invocation:callgate.service")


class TestHost(unittest.TestCase):
    def setUp(self):
        self.directories = [HOME / "server", Path("/tmp/server")]
        HOME.mkdir(mode=0o700)
        for directory in self.directories:
            shutil.copytree("/mnt/tests/harness/servers/python", directory)
        for path in (HOME, *HOME.rglob("*")):
            os.chown(path, ALICE, ALICE)

    def command(self, directory):
        program, script, *rest = NOTES_PY.command
        return (program, str(directory / Path(script).name), *rest)

    def start_client(self, directory=HOME / "server"):
        client = StdioClient(self.command(directory), uid=ALICE)
        client.initialize()
        return client

    def assert_governed(self, client):
        result = client.call("delete_note")["result"]
        if "_meta" not in result:
            for what in (("callgate", "status"), ("callgate", "sessions"), ("tail", "-n5", AUDIT), ("journalctl", "-u", "callgate", "-n5")):
                print(run(*map(str, what), code=None))
        self.assertEqual(result.get("_meta", {}).get("io.callgate/decision", {}).get("code"), base.DENIED)
        self.assertNotIn("_meta", client.call("echo", {"text": "hello"})["result"])

    def assert_resumed(self, client, replaced, times):
        """The server has what it had, and the next agent has written of it."""
        self.assertEqual(os.readlink(f"/proc/{client.pid}/fd/0"), replaced)
        self.assert_governed(client)
        records = [json.loads(line) for line in AUDIT.read_text().splitlines()]
        resumed = [r for r in records if r["type"] == "session_resumed" and r["server"]["pid"] == client.pid]
        self.assertEqual(len(resumed), times, records[-5:])

    def assert_active(self, but=None):
        self.assertEqual(run("systemctl", "is-active", "callgate"), "active")
        pid = int(unit("MainPID"))
        self.assertNotIn(pid, (0, but))
        return pid

    def step(self, text):
        print(f"guest: {text}", flush=True)

    def test_the_life_of_the_package(self):
        self.step("install")
        before = files_of_ours()
        self.assertEqual(before, [])
        run("dpkg", "-i", DEB)
        first = self.assert_active()
        kept = unit("NFileDescriptorStore")  # for no session at all
        self.assertEqual(run("systemctl", "is-enabled", "callgate"), "enabled")
        for path, mode in (("/run/callgate", "700"), ("/var/lib/callgate", "700"), ("/var/log/callgate", "700"),
                           ("/run/callgate/control.sock", "600"), (str(AUDIT), "600"), ("/etc/callgate/policies.d", "755"),
                           ("/etc/callgate/callgate.json", "644")):
            self.assertEqual(run("stat", "-c", "%a %U %G", path), f"{mode} root root", path)
        print(run("callgate", "doctor", code=None))
        print("\n".join(run("systemd-analyze", "security", "callgate.service").splitlines()[-2:]))

        self.step("with no policy nothing is touched")
        client = self.start_client()
        self.assertNotIn("_meta", client.call("delete_note")["result"])
        self.assertEqual(client.original_ends[0], os.readlink(f"/proc/{client.pid}/fd/0"))
        client.shutdown()

        self.step("a policy governs a server of another user")
        path = Path("/etc/callgate/policies.d/notes.json")
        path.write_text(json.dumps(policy_for(NOTES_PY)))
        path.chmod(0o644)
        self.assertIn("ok", run("callgate", "check", str(path)))
        run("systemctl", "restart", "callgate")
        second = self.assert_active(but=first)
        for directory in self.directories:
            client = self.start_client(directory)
            self.assert_governed(client)
        self.assertIn("notes-py", run("callgate", "sessions"))

        self.step("reload opens the audit file anew, as logrotate asks")
        run("logrotate", "--force", "/etc/logrotate.d/callgate")
        base.wait_for(AUDIT.exists, "the audit file is there again")
        self.assertEqual(self.assert_active(), second)
        self.assert_governed(client)
        base.wait_for(lambda: "delete_note" in AUDIT.read_text(), "records go into the new file")
        self.assertIn("delete_note", Path(f"{AUDIT}.1").read_text())

        self.step("a restart keeps the session, and keeps it governed")
        replaced = os.readlink(f"/proc/{client.pid}/fd/0")
        self.assertNotEqual(replaced, client.original_ends[0])
        run("systemctl", "restart", "callgate")
        third = self.assert_active(but=second)
        self.assert_resumed(client, replaced, 1)

        self.step("an upgrade keeps the session, and keeps it governed")
        run("dpkg", "-i", DEB)
        fourth = self.assert_active(but=third)
        self.assert_resumed(client, replaced, 2)
        self.assertEqual(unit("NFileDescriptorStore"), kept)  # nothing is left of what the agents have handed on

        self.step("a stop hands it back, and the next start takes it over anew")
        run("systemctl", "stop", "callgate")
        self.assertEqual(os.readlink(f"/proc/{client.pid}/fd/0"), client.original_ends[0])
        self.assertNotIn("_meta", client.call("delete_note")["result"])
        run("systemctl", "start", "callgate")
        fourth = self.assert_active(but=fourth)
        base.wait_for(lambda: "notes-py" in run("callgate", "sessions"), "taken over again")
        self.assert_governed(client)

        self.step("an agent that is killed is followed by one that goes on with its sessions")
        other = self.start_client()
        self.assert_governed(other)
        replaced = os.readlink(f"/proc/{other.pid}/fd/0")
        os.kill(fourth, signal.SIGKILL)
        base.wait_for(lambda: unit("MainPID") not in ("0", str(fourth)) and unit("ActiveState") == "active", "started again")
        self.assertEqual(unit("NRestarts"), "1")
        self.assertEqual(os.readlink(f"/proc/{other.pid}/fd/0"), replaced)
        for each in (other, client):
            self.assert_governed(each)
        self.assertEqual(other.shutdown(), NOTES_PY.exit_code)

        self.step("where it cannot be started nobody goes ungoverned: its guard ends servers, and goes when it is back")
        client.shutdown()
        configuration = Path("/etc/callgate/callgate.json")
        good = configuration.read_text()
        configuration.write_text('{"nonsense": 1}')
        run("systemctl", "restart", "callgate", code=None)
        base.wait_for(lambda: run("systemctl", "is-active", "callgate-guard", code=None) == "active", "the guard is there")
        unguarded = StdioClient(self.command(HOME / "server"), uid=ALICE)
        self.assertEqual(unguarded.wait(), -signal.SIGKILL)
        unguarded.kill()
        configuration.write_text(good)
        run("systemctl", "start", "callgate")
        self.assert_active()
        self.assertEqual(run("systemctl", "is-active", "callgate-guard", code=None), "inactive")
        client = self.start_client()
        self.assert_governed(client)

        self.step("a removal hands the session back, and keeps configuration and logs")
        run("dpkg", "-r", "callgate")
        self.assertNotIn("_meta", client.call("delete_note")["result"])
        self.assertEqual(client.original_ends[0], os.readlink(f"/proc/{client.pid}/fd/0"))
        self.assertEqual(client.shutdown(), NOTES_PY.exit_code)
        self.assertFalse(Path("/usr/bin/callgate").exists())
        self.assertTrue(path.exists() and AUDIT.exists())

        self.step("installed again, it goes on with what it had")
        run("dpkg", "-i", DEB)
        self.assert_active()
        client = self.start_client()
        self.assert_governed(client)
        client.shutdown()

        self.step("a purge leaves nothing")
        run("dpkg", "-P", "callgate")
        self.assertEqual(files_of_ours(), [])
        self.assertEqual(unit("LoadState"), "not-found")
        self.assertEqual(run("dpkg-query", "-W", "callgate", code=None).split()[:3], "dpkg-query: no packages".split())


if __name__ == "__main__":
    unittest.main(verbosity=2)
