"""A kernel that the programs do not load on: it is said, with what to do, and no server is touched."""
import re

from host_facts import EXPECTED, HostFacts
from governed import main, os

NEEDED = r"needs Linux 5\.17 or newer with BTF"


class TestRefused(HostFacts):
    def test_doctor(self):
        checks, report = self.doctor(code=1)
        self.assertEqual(os.uname().release, EXPECTED["release"])
        self.assert_check(checks["kernel"], "ok", f"^{re.escape(os.uname().release)} x86_64$")
        self.assert_check(checks["btf"], "ok", "^/sys/kernel/btf/vmlinux$")
        self.assert_check(checks["bpf"], "failed", "has no bpf_loop", NEEDED)
        self.assert_check(checks["listeners"], "failed", "has no bpf_loop", NEEDED)
        self.assert_check(checks["ptrace"], "ok", "PTRACE_SEIZE")
        self.assert_check(checks["io_uring"], "degraded", "^epoll, for want of io_uring", "5.19")
        self.assertEqual(report["mechanism"], [])
        self.assertIn('everything, until "bpf" is mended', report["blind"])

    def test_the_agent(self):
        self.assert_refuses(78, rf"this kernel \({EXPECTED['release']}\)", "has no bpf_loop", NEEDED)


if __name__ == "__main__":
    main()
