"""What the agent may ask of the kernel: its threads are under a seccomp filter, and work."""
from governed import *  # noqa: F403
from governed import NOTES_PY, EndToEnd, Path, main, policy_for

# They take servers over, or start those that do: who is under a filter cannot suspend another's.
FREE = {"cg-worker", "callgate-watch"}


def threads(pid):
    """(name, is it under a filter) of each."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
        found.append((fields["Name"], fields["Seccomp"] == "2"))
    return found


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


if __name__ == "__main__":
    main()
