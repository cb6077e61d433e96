"""Network namespaces for tests, and sockets in them.

    with NetworkPair() as pair:
        server = HttpServer(spec, host="10.77.0.1", prefix=pair.server.prefix)
        with pair.client.entered():          # this thread's new sockets are the client's
            connection = HttpConnection("10.77.0.1", server.port)
"""
import contextlib
import ctypes
import os
import subprocess

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


def _run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stderr}")


def _set_namespace(fd):
    if _LIBC.setns(fd, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Namespace:
    def __init__(self, name):
        self.name = name
        _run("ip", "netns", "add", name)
        self.run("ip", "link", "set", "lo", "up")

    @property
    def prefix(self):
        """What runs a command in it; `ip` executes it, so its process id is the command's."""
        return ("ip", "netns", "exec", self.name)

    def run(self, *command):
        _run(*self.prefix, *command)

    @contextlib.contextmanager
    def entered(self):
        """Sockets that this thread makes meanwhile belong to the namespace, and stay in it."""
        with open("/proc/thread-self/ns/net", "rb") as home, open(f"/run/netns/{self.name}", "rb") as there:
            _set_namespace(there.fileno())
            try:
                yield
            finally:
                _set_namespace(home.fileno())

    def remove(self):
        with contextlib.suppress(AssertionError):
            _run("ip", "netns", "del", self.name)


class NetworkPair:
    """Two namespaces joined by a veth pair: server 10.77.0.1 and fd77::1, client 10.77.0.2 and fd77::2."""
    ADDRESSES = {"server": ("10.77.0.1", "fd77::1"), "client": ("10.77.0.2", "fd77::2")}

    def __init__(self):
        self.server = Namespace(f"callgate-s-{os.getpid()}")
        self.client = Namespace(f"callgate-c-{os.getpid()}")
        self.server.run("ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", self.client.name)
        for role, namespace in (("server", self.server), ("client", self.client)):
            four, six = self.ADDRESSES[role]
            namespace.run("ip", "addr", "add", f"{four}/24", "dev", "veth0")
            namespace.run("ip", "addr", "add", f"{six}/64", "dev", "veth0", "nodad")
            namespace.run("ip", "link", "set", "veth0", "up")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()

    def remove(self):
        self.client.remove()
        self.server.remove()
