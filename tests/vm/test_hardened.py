"""Settings that only a boot takes back: the last tests on a host, in the order of their names."""
from host_facts import HostFacts
from governed import NOTES_PY, Path, main, policy_for

LOCKDOWN = Path("/sys/kernel/security/lockdown")


class TestHardened(HostFacts):
    def test_1_lockdown_integrity(self):
        LOCKDOWN.write_text("integrity")
        checks, report = self.doctor()
        self.assert_check(checks["lockdown"], "ok", "^integrity$")
        self.assert_check(checks["bpf"], "ok", "load$")
        self.assertNotIn("everything", " ".join(report["blind"]))
        self.assert_governs()

    def test_2_nobody_may_trace(self):
        """kernel.yama.ptrace_scope=3: servers cannot be taken over, and that is said of each."""
        self.sysctl("kernel.yama.ptrace_scope", 3)
        checks, report = self.doctor(code=1)
        self.assert_check(checks["ptrace"], "failed", "kernel.yama.ptrace_scope is 3$", "boot anew")
        self.assertIn('everything, until "ptrace" is mended', report["blind"])
        self.assert_check(checks["bpf"], "ok", "load$")
        agent = self.agent({"p": policy_for(NOTES_PY)})
        client = self.client(NOTES_PY.command)
        client.initialize()
        event = agent.wait_audit("session_blind")[0]
        self.assertEqual((event["server"]["pid"], event["killed"]), (client.pid, False))
        self.assertNotIn("_meta", client.call(*NOTES_PY.denied)["result"])  # ungoverned, and said to be
        self.assertEqual(client.shutdown(), NOTES_PY.exit_code)

    def test_3_lockdown_confidentiality(self):
        LOCKDOWN.write_text("confidentiality")
        checks, report = self.doctor(code=1)
        self.assert_check(checks["lockdown"], "failed", "^confidentiality$", "lockdown=integrity")
        self.assert_check(checks["bpf"], "failed", "is locked down$", "lockdown=integrity")
        self.assertEqual(report["mechanism"], [])
        self.assert_refuses(78, "is locked down", "lockdown=integrity")


if __name__ == "__main__":
    main()
