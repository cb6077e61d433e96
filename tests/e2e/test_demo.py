"""README's first command: what it shows is so, as often as one likes, and nothing stays behind."""
import subprocess
import unittest

from governed import *  # noqa: F403
from governed import BINARY, Path, main, os

DEMO = Path(__file__).resolve().parents[2] / "packaging" / "demo"
PREFIX = "callgate-demo."


def processes_of_demos():
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and PREFIX.encode() in (entry / "cmdline").read_bytes():
                found.append(entry.name)
        except OSError:
            pass  # it has ended
    return found


class TestDemo(unittest.TestCase):
    def test_twice(self):
        before = set(Path("/tmp").glob(PREFIX + "*"))
        for _ in range(2):
            done = subprocess.run([DEMO, "--no-setup"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, timeout=90, env={**os.environ, "CALLGATE_BUILD_DIR": str(BINARY.parent)})
            self.assertEqual(done.returncode, 0, done.stdout)
            for line in ("echo(hello)            -> Echo: hello", "[POLICY DENIED]", "no. 3   -> The sum of 2 and 3 is 5.", "retry after",
                         "All as the policy says."):
                self.assertIn(line, done.stdout)
            self.assertEqual(set(Path("/tmp").glob(PREFIX + "*")) - before, set())
            self.assertEqual(processes_of_demos(), [])
            self.assertNotIn(PREFIX, Path("/proc/net/unix").read_text())


if __name__ == "__main__":
    main()
