"""What doctor says, and what this host itself says of the same: two ways to one truth."""
import json
import subprocess

from governed import *  # noqa: F403
from governed import ANSWER_SECONDS, BINARY, NOTES_PY, EndToEnd, Path, os, policy_for

EXPECTED = json.loads(os.environ["CALLGATE_VM_EXPECTED"])  # of vm/run, for this kernel


class HostFacts(EndToEnd):
    def doctor(self, *prefix, code=0, preexec=None):
        """{name: check}, and the report; with its exit code."""
        done = subprocess.run([*prefix, str(BINARY), "doctor", "--json"], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=ANSWER_SECONDS, preexec_fn=preexec)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        report = json.loads(done.stdout)
        for check in report["checks"]:
            self.assertEqual(bool(check["remedy"]), check["state"] != "ok", check)
        return {check["name"]: check for check in report["checks"]}, report

    def assert_check(self, check, state, detail, remedy="^"):
        self.assertEqual(check["state"], state, check)
        self.assertRegex(check["detail"], detail)
        self.assertRegex(check["remedy"], remedy)

    def assert_governs(self, relay=None):
        agent = self.agent({"p": policy_for(NOTES_PY)})
        if relay:
            self.assertTrue(agent.status()["mechanism"]["relay"].startswith(relay), agent.status()["mechanism"])
        client = self.client(NOTES_PY.command)
        client.initialize()
        self.assert_denied(client.call(*NOTES_PY.denied))
        self.assert_result(client.call(*NOTES_PY.allowed))
        self.assertEqual(client.shutdown(), NOTES_PY.exit_code)
        self.stop_agent(agent)

    def assert_refuses(self, exit_code, *words):
        """The agent ends by itself, at once, with this exit code, and says what is wrong; servers are not touched."""
        client = self.client(NOTES_PY.command)
        client.initialize()
        with self.assertRaises(AssertionError) as raised:
            self.agent({"p": policy_for(NOTES_PY)})
        for word in words:
            self.assertRegex(str(raised.exception), word)
        refused = self._agents[-1].process
        self.assertEqual(refused.wait(ANSWER_SECONDS), exit_code)
        refused.stdout.close()
        self.assertNotIn("_meta", client.call(*NOTES_PY.denied)["result"])
        self.assertEqual(client.original_ends[0], os.readlink(f"/proc/{client.pid}/fd/0"))
        self.assertEqual(client.shutdown(), NOTES_PY.exit_code)
        self.assert_nothing_left(self._agents[-1])

    @staticmethod
    def sysctl(name, value=None):
        path = Path("/proc/sys", *name.split("."))
        if value is not None:
            path.write_text(str(value))
        return path.read_text().strip() if path.exists() else None

    @staticmethod
    def mounts():
        """[(directory, type, options), …]"""
        return [tuple(line.split()[1:4]) for line in Path("/proc/self/mounts").read_text().splitlines()]
