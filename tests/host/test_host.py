"""A host with systemd, booted from the package in an emulator (see machine.py). What happens in there is guest.py's."""
import os
import shutil
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "vm"))
from machine import BOOKWORM, ROOT, Machine, missing_programs  # noqa: E402

SECONDS_MAX = 600  # of an emulated boot and the whole test in it; usually a tenth of that


class TestHost(unittest.TestCase):
    def setUp(self):
        self.assertEqual(missing_programs(), [], "packaging/setup installs them")
        self.machine = Machine()
        self.addCleanup(self.machine.remove)

    def make_files(self):
        files = self.machine.place / "files"
        for part in ("harness/callgate_harness", "harness/servers/python"):
            shutil.copytree(ROOT / "tests" / part, files / "tests" / part)
        shutil.copy(HERE / "guest.py", files)
        shutil.copy(self.machine.package(), files / "callgate.deb")
        return self.machine.make_disk("files.img", 64, files)

    def test_the_package_on_a_booted_host(self):
        """Installed, started, a server of another user governed, reloaded, restarted, upgraded, killed, removed, purged."""
        outcome = self.machine.boot(BOOKWORM, self.machine.root_disk(), self.make_files(), seconds_max=SECONDS_MAX)
        print(outcome.console)
        self.assertEqual(outcome.code, 0, outcome.console[-3000:])


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("test_host.py: needs root")
    unittest.main(verbosity=2)
