"""What the agent may ask of the kernel: its threads are under a seccomp filter, hold the capabilities that their work takes, and work."""
import collections
import re
import unittest

from governed import *  # noqa: F403
from governed import NOTES_PY, ROOT, SANITIZERS, EndToEnd, Path, main, policy_for

# They take servers over, or start those that do: who is under a filter cannot suspend another's.
FREE = {"cg-worker", "callgate-watch"}

NUMBERS = {name: int(number) for name, number in
           re.findall(r"^#define (CAP_\w+)\s+(\d+)$", Path("/usr/include/linux/capability.h").read_text(), re.M)}
FILES = {"CAP_DAC_READ_SEARCH"}
RELAY = FILES | {"CAP_SYS_PTRACE", "CAP_NET_ADMIN", "CAP_SYS_RESOURCE", "CAP_BPF"}
AGENT = RELAY | {"CAP_SYS_ADMIN", "CAP_PERFMON", "CAP_KILL", "CAP_SYS_NICE"}
HELD = {"callgate": RELAY, "cg-control": RELAY, "cg-audit": FILES, "cg-policies": FILES, "cg-webhook": set(), "cg-counters": set(),
        "callgate-netns": set(), "cg-worker": AGENT, "callgate-watch": AGENT}


def capabilities(pid):
    """(name of a thread, {"CapPrm": {"CAP_BPF", …}, …}) of each."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
        yield fields["Name"], {key: {name for name, number in NUMBERS.items() if int(value, 16) >> number & 1}
                               for key, value in fields.items() if key.startswith("Cap")}, fields["NoNewPrivs"]


def threads(pid):
    """(name, is it under a filter) of each."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
        found.append((fields["Name"], fields["Seccomp"] == "2"))
    return found


@unittest.skipIf("thread" in SANITIZERS, "ThreadSanitizer starts a thread of its own before the agent gives anything up")
class TestConfinement(EndToEnd):
    def test_threads_that_trace_are_free_and_all_others_are_confined(self):
        agent = self.agent({"p": policy_for(NOTES_PY)}, config={"approvals": {"webhook": {"url": "http://127.0.0.1:9/"}}})
        client = self.client(NOTES_PY.command)
        client.initialize()
        self.assert_denied(client.call(*NOTES_PY.denied))
        found = threads(agent.pid)
        names = {name for name, _ in found}
        self.assertLessEqual({"callgate", "cg-audit", "cg-control", "cg-policies", "cg-webhook", "callgate-netns"} | FREE, names)
        self.assertEqual({name for name, is_confined in found if not is_confined}, FREE)
        free = sum(name in FREE for name, _ in found)
        self.assertEqual(agent.status()["threads"], {"confined": len(found) - free, "free": free})
        client.shutdown()
        self.stop_agent(agent)

    def test_each_thread_holds_what_its_work_takes(self):
        for keeper in (False, True):
            with self.case(keeper=keeper):
                webhook = {"approvals": {"webhook": {"url": "http://127.0.0.1:9/"}}}
                agent = self.agent({"p": policy_for(NOTES_PY)}, config=webhook, keeper=keeper)
                client = self.client(NOTES_PY.command)
                client.initialize()
                self.assert_denied(client.call(*NOTES_PY.denied))
                seen, holders = set(), collections.Counter()
                may = next(capabilities("self"))[1]["CapBnd"]  # what this host does not have nobody can hold
                for name, sets, no_new_privileges in capabilities(agent.pid):
                    if name.startswith("iou-"):  # the kernel's own, of the ring
                        continue
                    seen.add(name)
                    holders.update(sets["CapPrm"])
                    self.assertEqual(sets, {"CapBnd": AGENT & may, "CapPrm": HELD[name] & may, "CapEff": HELD[name] & may, "CapInh": set(),
                                            "CapAmb": set()}, name)
                    self.assertEqual(no_new_privileges, "1", name)
                self.assertEqual(seen, HELD.keys())
                self.assertEqual(agent.status()["capabilities"], holders)
                shown = ", ".join(f"{name} {holders[name]}" for name in sorted(holders))
                self.assertIn(f"\ncapabilities {shown}\n", agent.command("status").stdout)
                client.shutdown()
                self.stop_agent(agent)


class TestPackaging(unittest.TestCase):
    def named(self, path, line, words):
        found, = re.findall(line, (ROOT / "packaging" / path).read_text(), re.M)
        return {"CAP_" + name.upper().removeprefix("CAP_") for name in re.findall(words, found)}

    def test_all_ways_of_starting_it_give_it_the_same(self):
        self.assertEqual(self.named("systemd/callgate.service", r"^CapabilityBoundingSet=(.*)", r"\w+"), AGENT)
        self.assertEqual(self.named("helm/callgate/templates/daemonset.yaml", r"^ +add: \[(.*)\]", r"\w+"), AGENT)
        self.assertEqual(self.named("container/Containerfile", r"--cap-add=(\S+)", r"\w+"), AGENT)
        self.assertEqual(self.named("systemd/callgate-guard.service", r"^CapabilityBoundingSet=(.*)", r"\w+"),
                         FILES | {"CAP_SYS_PTRACE", "CAP_KILL"})
        profile = (ROOT / "packaging/apparmor/callgate").read_text()
        self.assertEqual({"CAP_" + name.upper() for name in re.findall(r"^  capability (\w+),", profile, re.M)}, AGENT)

    def test_apparmor_confines_the_services_and_not_the_program_in_a_shell(self):
        profiles = re.findall(r"^ *(?:profile +)?([^#\n]*[^#\n ]) *\{$", (ROOT / "packaging/apparmor/callgate").read_text(), re.M)
        self.assertEqual(profiles, ["callgate flags=(attach_disconnected)"])  # a path would be what it attaches to
        for unit in ("callgate", "callgate-guard"):
            text = (ROOT / f"packaging/systemd/{unit}.service").read_text()
            # With "-" the service starts where the profile is not loaded.
            self.assertEqual(re.findall(r"^AppArmorProfile=(.*)", text, re.M), ["-callgate"], unit)
            for command in re.findall(r"^Exec\w+=(\S+)", text, re.M):
                self.assertRegex(command, r"^/usr/bin/callgate$|^\+")  # the profile is for all of them but those with "+"


if __name__ == "__main__":
    main()
