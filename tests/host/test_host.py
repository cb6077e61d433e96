"""A host with systemd, booted from the package: Debian 12 with its own kernel, emulated by QEMU, so that nothing of this
machine's kernel or processes is in it. The root directory (debootstrap, with what the package depends on) and the kernel are
fetched once and kept in CALLGATE_HOST_CACHE. What happens in there is guest.py's.

CALLGATE_DEB names the package; otherwise cpack makes one from CALLGATE_BUILD_DIR.
"""
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = Path(os.environ.get("CALLGATE_BUILD_DIR", ROOT / "build")).resolve()
CACHE = Path(os.environ.get("CALLGATE_HOST_CACHE", BUILD / "host")).resolve()
PACKAGES = ("systemd", "systemd-sysv", "dbus", "udev", "logrotate", "python3")
SECONDS_MAX = 600  # of an emulated boot and the whole test in it; usually a tenth of that


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode != 0:
        raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stdout[-4000:]}")
    return done.stdout


def mirror():
    for file in (Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")):
        if file.exists() and (found := re.search(r"^(?:URIs:|deb(?: \[.*?\])?)\s+(\S+/debian/?)\s*", file.read_text(), re.M)):
            return found[1]
    raise AssertionError("apt's sources name no Debian mirror, and a host is to be made from one")


def root_directory(package):
    depends = run("dpkg-deb", "--field", package, "Depends").strip()
    root = CACHE / f"root-{hashlib.sha256(depends.encode()).hexdigest()[:12]}"
    if not root.exists():
        unfinished = CACHE / "root.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", "bookworm", unfinished, mirror())
        run("chroot", unfinished, "apt-get", "-q", "-y", "--no-install-recommends", "satisfy", depends)
        unfinished.rename(root)
    return root


def kernel_directory():
    kernel = CACHE / "kernel"
    if not kernel.exists():
        unfinished = CACHE / "kernel.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        package = re.search(r"Depends: (linux-image-\S+)", run("apt-cache", "depends", "linux-image-cloud-amd64"))[1]
        with tempfile.TemporaryDirectory() as place:
            run("apt-get", "-q", "download", "-o", "APT::Sandbox::User=root", package, cwd=place)
            run("dpkg-deb", "-x", next(Path(place).glob("*.deb")), unfinished)
        unfinished.rename(kernel)
    return kernel


class TestHost(unittest.TestCase):
    def setUp(self):
        for program in ("qemu-system-x86_64", "debootstrap", "mke2fs", "busybox", "cpio"):
            self.assertTrue(shutil.which(program), f"{program} is not there: packaging/setup installs it")
        self.place = Path(tempfile.mkdtemp(prefix="callgate-host-"))
        self.addCleanup(shutil.rmtree, self.place)

    def package(self):
        if "CALLGATE_DEB" in os.environ:
            return Path(os.environ["CALLGATE_DEB"])
        run("cpack", "--config", BUILD / "CPackConfig.cmake", "-G", "DEB", "-B", self.place / "cpack")
        return next((self.place / "cpack").glob("*.deb"))

    def make_initrd(self, kernel):
        tree = self.place / "initrd"
        for directory in ("bin", "dev", "proc", "root", "modules"):
            (tree / directory).mkdir(parents=True)
        shutil.copy(shutil.which("busybox"), tree / "bin")
        shutil.copy(HERE / "init", tree / "init")
        (tree / "init").chmod(0o755)
        for module in (kernel / "lib" / "modules").rglob("virtio*.ko"):
            shutil.copy(module, tree / "modules")
        image = self.place / "initrd.img"
        run("sh", "-c", f"find . | cpio -o -H newc >{image}", cwd=tree)
        return image

    def make_disk(self, name, megabytes, directory):
        run("mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d", directory, self.place / name, f"{megabytes}M")
        return self.place / name

    def make_root(self, package):
        """The root directory and the service that runs the test; the kept one stays as it is."""
        root = self.place / "root"
        run("cp", "-a", "--reflink=auto", f"{root_directory(package)}/.", root)
        shutil.copy(HERE / "guest.service", root / "etc" / "systemd" / "system")
        wants = root / "etc" / "systemd" / "system" / "multi-user.target.wants"
        wants.mkdir(exist_ok=True)
        (wants / "guest.service").symlink_to("/etc/systemd/system/guest.service")
        return self.make_disk("root.img", 900, root)

    def make_files(self, package):
        files = self.place / "files"
        for part in ("host", "harness/callgate_harness", "harness/servers/python"):
            shutil.copytree(ROOT / "tests" / part, files / "tests" / part)
        shutil.copy(package, files / "callgate.deb")
        return self.make_disk("files.img", 64, files)

    def test_the_package_on_a_booted_host(self):
        """Installed, started, a server of another user governed, reloaded, restarted, upgraded, killed, removed, purged."""
        kernel, package = kernel_directory(), self.package()
        console, code = self.place / "console", self.place / "code"
        command = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024",
                   "-nodefaults", "-nographic", "-no-reboot", "-serial", f"file:{console}", "-serial", f"file:{code}",
                   "-kernel", next((kernel / "boot").glob("vmlinuz-*")), "-initrd", self.make_initrd(kernel),
                   "-drive", f"file={self.make_root(package)},format=raw,if=virtio,snapshot=on,cache=unsafe",
                   "-drive", f"file={self.make_files(package)},format=raw,if=virtio,readonly=on",
                   "-append", "quiet console=ttyS0 panic=-1 oops=panic mitigations=off lsm=landlock,lockdown,yama,integrity,bpf "
                              "systemd.mask=serial-getty@ttyS0.service systemd.mask=getty.target"]
        try:
            run(*command, timeout=SECONDS_MAX)
        finally:
            said = console.read_text(errors="replace") if console.exists() else ""
            print(said)
        # A guest that ends without a word has not passed.
        self.assertEqual(code.read_text().strip(), "0", said[-3000:])


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("test_host.py: needs root")
    unittest.main(verbosity=2)
