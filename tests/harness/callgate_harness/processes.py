"""What /proc and bpftool say of processes and of what they hold."""
import collections
import contextlib
import fcntl
import json
import os
import subprocess
import sys
import termios
import time
from pathlib import Path


def descendants(pid):
    """Every process below `pid`, itself left out."""
    children = collections.defaultdict(list)
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                stat = Path("/proc", entry, "stat").read_text()
                children[int(stat[stat.rindex(")") + 2:].split()[1])].append(int(entry))
    found, todo = [], [pid]
    while todo:
        below = children[todo.pop()]
        found += below
        todo += below
    return found


def exe_of(pid):
    """The program that a process runs; None when it is gone."""
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/exe")
    return None


def descriptors(pid, *, inodes=False):
    """What a process can see of its own descriptors: {number: (kind, flags, epoll registrations)}. With inodes=True the
    kind of a pipe or socket says which one. A one-shot registration that has fired is about to be armed again: it is
    waited for, two seconds at most."""
    deadline = time.monotonic() + 2
    while True:
        table = _descriptors_now(pid, inodes)
        fired = [events for _, _, registrations in table.values() for _, events, _ in registrations if not int(events, 16) & 0x0fffffff]
        if not fired or time.monotonic() > deadline:
            return table
        time.sleep(0.01)


def _descriptors_now(pid, inodes):
    table = {}
    for entry in os.listdir(f"/proc/{pid}/fd"):
        try:
            link = os.readlink(f"/proc/{pid}/fd/{entry}")
            lines = Path(f"/proc/{pid}/fdinfo/{entry}").read_text().splitlines()
        except FileNotFoundError:
            continue  # closed meanwhile
        kind = link if inodes or not link.startswith(("pipe:", "socket:")) else link.split(":")[0]
        flags, registrations = "", []
        for line in lines:
            words = line.split()
            if words[0] == "flags:":
                flags = words[1]
            elif words[0] == "tfd:":  # "tfd: 0 events: 2019 data: … pos: 0 ino: … sdev: …"
                registrations.append((words[1], words[3], words[5]))
        table[int(entry)] = (kind, flags, tuple(sorted(registrations)))
    return table


def processor_seconds(pid):
    """What a process has had of the processors so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def listening(pid):
    """Ports on which anybody listens in the network namespace of a process: {port: [address in the kernel's hex, …]}"""
    found = collections.defaultdict(list)
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                words = line.split()
                if words[3] == "0A":
                    address, port = words[1].split(":")
                    found[int(port, 16)].append(address)
    return dict(found)


def steady_descriptors(pid, server, **options):
    """Those that a server in rest keeps: of Deno, which opens and closes some of its own at any time, only the standard ones."""
    table = descriptors(pid, **options)
    return {fd: each for fd, each in table.items() if fd <= 2 or server.name != "deno"}


def unread(fd):
    """Bytes in a pipe that nobody has read; works on either end."""
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)


def bpf_ids(pid):
    """Ids of the BPF programs, links and maps that a process holds: {("prog", 12), …}"""
    found = set()
    for entry in os.listdir(f"/proc/{pid}/fdinfo"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/fdinfo/{entry}").read_text().splitlines():
                key, _, value = line.partition(":")
                if key in ("prog_id", "link_id", "map_id"):
                    found.add((key[:-3], int(value)))
    return found


def bpf_alive(kind):
    """Ids of all there are. bpftool fails where one comes or goes while it looks, so it is asked again."""
    for attempt in range(20):
        time.sleep(0.05 if attempt else 0)
        done = subprocess.run(["bpftool", "-j", kind, "show"], capture_output=True, text=True)
        if done.returncode == 0:
            return {entry["id"] for entry in json.loads(done.stdout or "[]")}
    raise AssertionError(f"bpftool {kind} show: {done.stdout}{done.stderr}")


def kernel_tables(pid):
    """The kernel's hash tables that an agent has: {name: number}."""
    found = {}
    for kind, number in bpf_ids(pid):
        if kind == "map":
            shown = subprocess.run(["bpftool", "-j", "map", "show", "id", str(number)], capture_output=True, text=True)
            shown = json.loads(shown.stdout or "{}")
            if shown.get("type") == "hash":
                found[shown["name"]] = number
    return found


def table_entries(number):
    done = subprocess.run(["bpftool", "-j", "map", "dump", "id", str(number)], capture_output=True, text=True, timeout=60)
    return len(json.loads(done.stdout)) if done.returncode == 0 and done.stdout.strip() else 0
