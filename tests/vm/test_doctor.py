"""doctor on this kernel, line by line, against what the kernel's own files say; and what governs under each setting."""
import re

from host_facts import EXPECTED, HostFacts
from governed import Path, main, os


class TestDoctor(HostFacts):
    def test_each_line(self):
        checks, report = self.doctor()
        self.assertEqual(os.uname().release, EXPECTED["release"])
        self.assert_check(checks["kernel"], "ok", f"^{re.escape(os.uname().release)} x86_64$")
        self.assert_check(checks["btf"], "ok", "^/sys/kernel/btf/vmlinux$")
        modules = Path("/sys/kernel/security/lsm").read_text()
        self.assertIn("yama", modules)
        self.assert_check(checks["security modules"], "ok", f"^{modules}$")
        self.assert_check(checks["lockdown"], "ok", "^none$")
        self.assert_check(checks["bpf"], "ok", "load$")
        self.assert_check(checks["listeners"], "ok", "load$")
        self.assert_check(checks["ptrace"], "ok", f"ptrace_scope is {self.sysctl('kernel.yama.ptrace_scope')}$")
        self.assert_check(checks["io_uring"], "ok", "^io_uring: ")
        self.assert_check(checks["memory"], "ok", "^no limit$")
        self.assertEqual(checks["processors"]["detail"], str(os.cpu_count()))
        # Debian's kernels have trampolines; no mechanism of the agent uses them.
        preempted = int(EXPECTED["release"].split(".")[0]) >= 7
        how = "perf event sys_exit" if preempted else "tp_btf/sys_exit"
        self.assertIn(f"reads: {how} (exit only; fexit would load here)", report["mechanism"])
        self.assertNotIn("everything", " ".join(report["blind"]))

    def test_cgroups(self):
        version2 = [directory for directory, kind, _ in self.mounts() if kind == "cgroup2"]
        controllers = [options for _, kind, options in self.mounts() if kind == "cgroup" and "name=" not in options]
        check = self.doctor()[0]["cgroups"]
        layout = EXPECTED["cgroups"]
        if layout == "v2":
            self.assertEqual((version2, controllers), (["/sys/fs/cgroup"], []))
            self.assert_check(check, "ok", "^v2 at /sys/fs/cgroup$")
        elif layout == "hybrid":
            self.assertEqual(version2, ["/sys/fs/cgroup/unified"])
            self.assertTrue(controllers)
            self.assert_check(check, "ok", "^v2 at /sys/fs/cgroup/unified, hybrid: controllers are in v1$")
        else:
            self.assertEqual(version2, [])
            self.assertTrue(controllers)
            self.assert_check(check, "degraded", "^v1 only$", "mount -t cgroup2")
        self.assert_governs()

    def test_a_limit_of_memory(self):
        """By whichever version of cgroups the host has its controllers in; what is too little is said before anything is done."""
        mount, file = next(((directory, "memory.limit_in_bytes") for directory, kind, options in self.mounts()
                            if kind == "cgroup" and "memory" in options.split(",")), ("/sys/fs/cgroup", "memory.max"))
        parent = Path(mount)
        if file == "memory.max":
            (parent / "cgroup.subtree_control").write_text("+memory")
        group = parent / "callgate-memory"
        group.mkdir()
        self.addCleanup(group.rmdir)
        inside = ["sh", "-c", f'echo $$ >{group}/cgroup.procs && exec "$@"', "sh"]
        for megabytes, state, code in ((400, "ok", 0), (128, "degraded", 0), (64, "failed", 1)):
            with self.subTest(megabytes=megabytes):
                (group / file).write_text(str(megabytes << 20))
                check = self.doctor(*inside, code=code)[0]["memory"]
                remedy = "^$" if state == "ok" else "MemoryMax="
                self.assert_check(check, state, f"{group}/{file}\\) is {megabytes << 20}: ", remedy)

    def test_io_uring_disabled(self):
        """Another relay serves; doctor says so, and how to change it."""
        before = self.sysctl("kernel.io_uring_disabled")
        self.assertEqual(before is not None, EXPECTED["io_uring_disabled"])
        if before is None:
            return  # kernels before 6.6: tests of the relay refuse it by a filter
        self.addCleanup(self.sysctl, "kernel.io_uring_disabled", before)
        for value, state, relay in ((1, "ok", "io_uring: "), (2, "degraded", "epoll, for want of io_uring (io_uring_setup")):
            with self.subTest(value=value):
                self.sysctl("kernel.io_uring_disabled", value)
                checks, report = self.doctor()
                remedy = "^$" if state == "ok" else "kernel.io_uring_disabled=0"
                self.assert_check(checks["io_uring"], state, "^" + relay.split("(")[0], remedy)
                self.assertTrue(any(line.startswith("relay: " + relay) for line in report["mechanism"]), report["mechanism"])
                self.assert_governs(relay)

    def test_ptrace_scope(self):
        before = self.sysctl("kernel.yama.ptrace_scope")
        self.addCleanup(self.sysctl, "kernel.yama.ptrace_scope", before)
        for value in (0, 1, 2):
            with self.subTest(value=value):
                self.sysctl("kernel.yama.ptrace_scope", value)
                self.assert_check(self.doctor()[0]["ptrace"], "ok", f"SUSPEND_SECCOMP; kernel.yama.ptrace_scope is {value}$")
        self.assert_governs()

    def test_what_is_not_mounted(self):
        """What nobody can look up is not said to be well."""
        hidden = ["unshare", "--mount", "sh", "-c", 'umount --lazy "$0" && exec "$@"']
        checks, _ = self.doctor(*hidden, "/sys/kernel/security")
        for name in ("lockdown", "security modules"):
            self.assert_check(checks[name], "ok", "^unknown: securityfs is not mounted$")
        checks, _ = self.doctor(*hidden, "/sys/fs/cgroup")
        self.assert_check(checks["cgroups"], "degraded", "^not mounted$", "mount -t cgroup2")

    def test_one_processor(self):
        online = Path("/sys/devices/system/cpu/cpu1/online")
        self.addCleanup(online.write_text, "1")
        for value, state in (("0", "degraded"), ("1", "ok")):
            with self.subTest(online=value):
                online.write_text(value)
                remedy = "second processor" if state == "degraded" else "^$"
                self.assert_check(self.doctor()[0]["processors"], state, "^one processor" if value == "0" else "^2$", remedy)

    def test_who_may_not(self):
        """Without root nothing of it goes, and each line says so."""
        checks, _ = self.doctor("setpriv", "--reuid=65534", "--clear-groups", code=1)
        for name in ("privilege", "bpf", "listeners", "ptrace"):
            self.assertEqual(checks[name]["state"], "failed", checks[name])


if __name__ == "__main__":
    main()
