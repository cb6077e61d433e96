"""An agent in a container that has the host's processes before it, as in a pod with hostPID, and a cgroup namespace of its own,
as container engines give to each."""
import ctypes

import test_which_server
from governed import Path, main, os
from host_facts import HostFacts

CLONE_NEWCGROUP = 0x02000000


class Contained(HostFacts):
    def setUp(self):
        super().setUp()
        self.cgroup = Path("/sys/fs/cgroup/callgate-container")
        self.cgroup.mkdir()
        self.addCleanup(self.cgroup.rmdir)
        self.libc = ctypes.CDLL(None, use_errno=True)

    def contain(self):
        """In a child, before it becomes the program."""
        (self.cgroup / "cgroup.procs").write_text(str(os.getpid()))
        if self.libc.unshare(CLONE_NEWCGROUP):
            raise OSError(ctypes.get_errno(), "unshare")

    def agent(self, policies, **options):
        return super().agent(policies, preexec=self.contain, **options)


class TestServers(Contained, test_which_server.TestCgroups):
    """They and callers are known by unit, image and container as on the host itself."""


class TestDoctor(Contained):
    def test_limits_are_the_containers_own(self):
        Path("/sys/fs/cgroup/cgroup.subtree_control").write_text("+memory")
        (self.cgroup / "memory.max").write_text(str(400 << 20))
        checks, _ = self.doctor(preexec=self.contain)
        self.assert_check(checks["cgroups"], "ok", "^v2 at /sys/fs/cgroup$")
        self.assert_check(checks["memory"], "ok", f"{self.cgroup}/memory.max\\) is {400 << 20}: ")

    def test_who_may_not_enter_the_hosts(self):
        """What is then not known is said."""
        bounded = ("setpriv", "--bounding-set=-sys_admin")
        check = self.doctor(*bounded, preexec=self.contain)[0]["cgroups"]
        self.assert_check(check, "degraded", "^a namespace of this container's own: setns /proc/1/ns/cgroup: ", "CAP_SYS_ADMIN")

if __name__ == "__main__":
    main()
