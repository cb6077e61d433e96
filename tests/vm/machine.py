"""Emulated hosts: Debian's kernels and a Debian 12 with systemd, booted in QEMU, so that nothing of this machine's kernel or
processes is in them. Kernels and the root directory (debootstrap, with what the package depends on) are fetched once and
kept in CALLGATE_HOST_CACHE.

CALLGATE_DEB names the package; otherwise cpack makes one from CALLGATE_BUILD_DIR.
"""
import contextlib
import dataclasses
import fcntl
import hashlib
import lzma
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = Path(os.environ.get("CALLGATE_BUILD_DIR", ROOT / "build")).resolve()
CACHE = Path(os.environ.get("CALLGATE_HOST_CACHE", BUILD / "host")).resolve()
PROGRAMS = ("qemu-system-x86_64", "debootstrap", "mke2fs", "busybox", "cpio")
PACKAGES = ("systemd", "systemd-sysv", "dbus", "udev", "logrotate", "python3", "bpftool", "iproute2")
MODULES = ("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk")
FIRST_WORD = "guest: the kernel is there"  # of init
# What the kernel measures about its timers at the start is wrong where this machine is busy: it is not to ask.
KERNEL_WORDS = ("quiet console=ttyS0 panic=-1 oops=panic mitigations=off lsm=landlock,lockdown,yama,integrity,bpf "
                "no_timer_check tsc=reliable")
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
BOOTS_MAX = 5
SECONDS_TO_SPEAK = 300  # from QEMU's start to the initrd; usually 5


@dataclasses.dataclass(frozen=True)
class Kernel:
    """Where Debian has it: an archive of its mirrors, a suite of that, and the package that depends on the newest image."""
    name: str
    archive: str
    suite: str
    package: str = "linux-image-cloud-amd64"  # ext4 built in


BOOKWORM = Kernel("6.1", "debian-security", "bookworm-security")
KERNELS = (Kernel("5.10", "debian-security", "bullseye-security"), BOOKWORM,
           Kernel("6.12", "debian-security", "bookworm-security", "linux-image-6.12-cloud-amd64"),
           Kernel("backports", "debian", "trixie-backports"))


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode != 0:
        raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stdout[-4000:]}")
    return done.stdout


def missing_programs():
    return [program for program in PROGRAMS if not shutil.which(program)]


def mirror(archive):
    """The address of one of Debian's archives, where this machine's apt has Debian from."""
    for file in (Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")):
        if file.exists() and (found := re.search(r"^(?:URIs:|deb(?: \[.*?\])?)\s+(\S+/)debian/?\s", file.read_text(), re.M)):
            return found[1] + archive
    raise AssertionError("apt's sources name no Debian mirror, and hosts are to be made from one")


@contextlib.contextmanager
def kept(directory):
    """`directory` is there and whole when this ends without an error: where to make it, or None where it is there."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with open(directory.with_name("lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one at a time, and the others find it
        if directory.exists():
            yield None
            return
        unfinished = directory.with_name(f"{directory.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        yield unfinished
        unfinished.rename(directory)


def root_directory(package):
    """What a host with the package has on its disk."""
    depends = run("dpkg-deb", "--field", package, "Depends").strip()
    names = re.sub(r" \([^)]*\)", "", depends)  # each in the one version that bookworm has
    root = CACHE / f"root-{hashlib.sha256(f'{PACKAGES}{names}'.encode()).hexdigest()[:12]}"
    with kept(root) as unfinished:
        if unfinished:
            run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", "bookworm", unfinished,
                mirror("debian"))
            run("chroot", unfinished, "apt-get", "-q", "-y", "--no-install-recommends", "satisfy", depends)
    return root


def root_disk(package):
    """That, and the service that runs what is on the other disk. Hosts leave it as it is: snapshot=on."""
    root, service = root_directory(package), HERE / "guest.service"
    disk = CACHE / f"{root.name}-{hashlib.sha256(service.read_bytes()).hexdigest()[:12]}"
    with kept(disk) as unfinished:
        if unfinished:
            tree = unfinished / "root"
            run("cp", "-a", "--reflink=auto", root, tree)
            units = tree / "etc" / "systemd" / "system"
            shutil.copy(service, units)
            wants = units / "multi-user.target.wants"
            wants.mkdir(exist_ok=True)
            (wants / service.name).symlink_to(f"/etc/systemd/system/{service.name}")
            make_disk(unfinished / "root.img", 1000, tree)
            shutil.rmtree(tree)
    return disk / "root.img"


def make_disk(image, megabytes, directory):
    run("mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d", directory, image, f"{megabytes}M")
    return image


class Suite:
    """An apt that knows one suite of Debian's, and nothing else; in a place that goes with it."""

    def __init__(self, archive, suite):
        self.place = tempfile.TemporaryDirectory(prefix="callgate-apt-")
        place = Path(self.place.name)
        for each in ("lists/partial", "cache/archives/partial", "packages"):
            (place / each).mkdir(parents=True)
        (place / "sources.list").write_text(f"deb [signed-by={KEYS}] {mirror(archive)} {suite} main\n")
        self.options = [f"-o{name}={value}" for name, value in {
            "Dir::Etc::SourceList": place / "sources.list", "Dir::Etc::SourceParts": "-", "Dir::State::Lists": place / "lists",
            "Dir::State::status": "/dev/null", "Dir::Cache": place / "cache", "APT::Sandbox::User": "root",
            "APT::Update::Error-Mode": "any"}.items()]
        run("apt-get", *self.options, "-q", "update")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.place.cleanup()

    def dependencies(self, package, names):
        return re.findall(rf"Depends: ({names})$", run("apt-cache", *self.options, "depends", package), re.M)

    def unpack(self, packages, directory):
        packed = Path(self.place.name, "packages")
        run("apt-get", *self.options, "-q", "download", *packages, cwd=packed)
        for each in packed.glob("*.deb"):
            run("dpkg-deb", "-x", each, directory)


def kernel_directory(kernel):
    """Where vmlinuz and the modules of a kernel are."""
    directory = CACHE / f"kernel-{kernel.name}"
    with kept(directory) as unfinished:
        if unfinished:
            with Suite(kernel.archive, kernel.suite) as suite:
                image, = suite.dependencies(kernel.package, r"linux-image-\S+")
                # Newer ones are in parts.
                suite.unpack([image, *suite.dependencies(image, r"linux-(?:binary|modules)-\S+")], unfinished)
    return directory


def emulator():
    """The words that begin its command: that of bookworm-backports, which loses no boot. It finds its libraries and firmware
    where bookworm's own, which loses one in five of kernels from 6.12 on, has its."""
    directory = CACHE / "qemu"
    with kept(directory) as unfinished:
        if unfinished:
            with Suite("debian", "bookworm-backports") as suite:
                suite.unpack(["qemu-system-x86", "qemu-system-common", "qemu-system-data"], unfinished)
    return directory / "usr/bin/qemu-system-x86_64", "-L", directory / "usr/share/qemu", "-L", "/usr/share/qemu", "-L", "/usr/share/seabios"


def release_of(kernel):
    """As uname says it."""
    modules, = kernel_directory(kernel).rglob("modules")
    return next(modules.iterdir()).name


@dataclasses.dataclass
class Outcome:
    """What came of a host: what it wrote to its second serial line, its exit code last."""
    words: list
    console: str
    boots: int  # one, and one for each that the emulator lost before the kernel could say a word

    @property
    def code(self):
        """A guest that ends without a word has not passed."""
        return int(self.words[-1]) if self.words and self.words[-1].isdigit() else None


class Machine:
    """Makes disks in a place of its own, and boots hosts from them."""

    def __init__(self):
        self.place = Path(tempfile.mkdtemp(prefix="callgate-host-"))

    def remove(self):
        shutil.rmtree(self.place)

    def package(self):
        if "CALLGATE_DEB" in os.environ:
            return Path(os.environ["CALLGATE_DEB"])
        made = self.place / "cpack"
        if not made.exists():
            run("cpack", "--config", BUILD / "CPackConfig.cmake", "-G", "DEB", "-B", made)
        return next(made.glob("*.deb"))

    def make_disk(self, name, megabytes, directory):
        return make_disk(self.place / name, megabytes, directory)

    def root_disk(self):
        return root_disk(self.package())

    def make_initrd(self, kernel):
        tree = self.place / f"initrd-{kernel.name}"
        for directory in ("bin", "dev", "proc", "root", "modules"):
            (tree / directory).mkdir(parents=True)
        shutil.copy(shutil.which("busybox"), tree / "bin")
        shutil.copy(HERE / "init", tree / "init")
        (tree / "init").chmod(0o755)
        for number, name in enumerate(MODULES):  # what a kernel has built in is no file
            for module in kernel_directory(kernel).rglob(f"{name}.ko*"):
                packed = module.read_bytes()
                (tree / "modules" / f"{number}.ko").write_bytes(lzma.decompress(packed) if module.suffix == ".xz" else packed)
        image = self.place / f"initrd-{kernel.name}.img"
        run("sh", "-c", f"find . | cpio -o -H newc >{image}", cwd=tree)
        return image

    def boot(self, kernel, root, files, *, megabytes=1024, append="", seconds_max):
        """Runs /guest.py of the disk `files`; an Outcome. AssertionError after `seconds_max`."""
        console, words = self.place / "console", self.place / "words"
        image, = kernel_directory(kernel).rglob("vmlinuz*")
        command = [*emulator(), "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2",
                   "-m", str(megabytes), "-nodefaults", "-nographic", "-no-reboot",
                   "-serial", f"file:{console}", "-serial", f"file:{words}",
                   "-kernel", image, "-initrd", self.make_initrd(kernel),
                   "-drive", f"file={root},format=raw,if=virtio,snapshot=on,cache=unsafe",
                   "-drive", f"file={files},format=raw,if=virtio,readonly=on",
                   "-append", f"{KERNEL_WORDS} systemd.mask=serial-getty@ttyS0.service systemd.mask=getty.target {append}"]
        for boots in range(1, BOOTS_MAX + 1):
            for file in (console, words):
                file.write_bytes(b"")
            if self._ends(command, console, seconds_max):
                return Outcome(words.read_text().split("\n")[:-1], console.read_text(errors="replace"), boots)
        raise AssertionError(f"{kernel.name}: {BOOTS_MAX} boots, and none said a word")

    @staticmethod
    def _ends(command, console, seconds_max):
        """False where QEMU runs and the guest says nothing: that boot is lost."""
        def spoken():
            return FIRST_WORD in console.read_text(errors="replace")  # firmware and the kernel may have said something before

        started = time.monotonic()
        with subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL) as qemu:
            try:
                while qemu.poll() is None:
                    seconds = time.monotonic() - started
                    if seconds > seconds_max:
                        raise AssertionError(f"not over after {seconds_max} s:\n{console.read_text(errors='replace')[-3000:]}")
                    if seconds > SECONDS_TO_SPEAK and not spoken():
                        return False
                    time.sleep(0.1)
            finally:
                qemu.kill()
        return True
