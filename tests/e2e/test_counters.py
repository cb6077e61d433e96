"""Counters outlive the agent, and can be seen and reset."""
import threading

from governed import *  # noqa: F403
from governed import BINARY, LIMITED, NOTES_PY, EndToEnd, cpp_server, json, main, policy, subprocess, wait_for


def limited(match, maximum=5):
    return policy(match, tools={"echo": {"limits": [{"counter": "c", "window": "day", "max": maximum}]}})


def callgate(*words):
    return subprocess.run([str(BINARY), *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)


class TestCounters(EndToEnd):
    SERVER = NOTES_PY

    def called(self, client):
        return client.call("echo", {"text": "x"})

    def begin(self):
        client = self.client(self.SERVER.command)
        client.initialize()
        return client

    def kill(self, agent):
        agent.process.kill()
        agent.process.wait()

    def again(self, first, maximum=5):
        return self.agent({"p": limited(self.SERVER.match, maximum)}, config={"state_directory": str(first.directory / "state")})

    def state_of(self, agent):
        return agent.directory / "state"

    def test_a_restart_forgets_nothing(self):
        agent = self.agent({"p": limited(self.SERVER.match)})
        client = self.begin()
        for _ in range(3):
            self.assert_result(self.called(client))
        client.shutdown()
        self.stop_agent(agent)
        listed = json.loads(callgate("counters", "--json", "--control", "/none", "--state", self.state_of(agent)).stdout)
        self.assertEqual([(c["counter"], c["tool"], c["scope"], c["count"]) for c in listed["counters"]], [("c", "echo", "grant", 3)])
        agent = self.again(agent)
        self.assertEqual(agent.status()["counters"]["restored"], 1)
        client = self.begin()
        for _ in range(2):
            self.assert_result(self.called(client))
        self.assert_denied(self.called(client), code=LIMITED)
        client.shutdown()

    def test_a_killed_agent_forgets_nothing(self):
        """It dies in the middle of many calls: what was answered was counted, and what was not asked was not."""
        server = cpp_server()
        agent = self.agent({"p": limited(server.match, 1_000_000)})
        client = self.client(server.command)
        client.initialize()
        answered, sent = [], []

        def hammer():
            try:
                while True:
                    sent.append(client.post("tools/call", {"name": "echo", "arguments": {"text": "x"}}))
                    answered.append(client.answer(sent[-1]))
            except Exception:  # noqa: BLE001: the session ends with its agent
                pass
        thread = threading.Thread(target=hammer)
        thread.start()
        wait_for(lambda: len(answered) > 300, "calls")
        self.kill(agent)
        thread.join()
        again = self.agent({"p": limited(server.match, 1_000_000)}, config={"state_directory": str(self.state_of(agent))})
        counters = json.loads(again.command("counters", "--json").stdout)["counters"]
        self.assertEqual(len(counters), 1)
        self.assertGreaterEqual(counters[0]["count"], len(answered))
        self.assertLessEqual(counters[0]["count"], len(sent))
        self.assertEqual(again.status()["counters"]["damaged"], 0)

    def test_reset(self):
        agent = self.agent({"p": limited(self.SERVER.match, 1)})
        client = self.begin()
        self.assert_result(self.called(client))
        self.assert_denied(self.called(client), code=LIMITED)
        self.assertEqual(agent.command("counters", "reset", "--all", check=False).returncode, 2)  # not confirmed
        self.assert_denied(self.called(client), code=LIMITED)
        name = json.loads(agent.command("counters", "--json").stdout)["counters"][0]["name"]
        self.assertIn(name, agent.command("counters").stdout)
        self.assertEqual(agent.command("counters", "reset", "no such counter", "--yes", check=False).returncode, 1)
        self.assertEqual(agent.command("counters", "reset", "--yes", check=False).returncode, 2)  # which?
        self.assertEqual(agent.command("counters", "reset", name, "--yes").stdout, "1 reset\n")
        self.assert_result(self.called(client))
        agent.command("counters", "reset", "--all", "--yes")
        self.assert_result(self.called(client))
        self.assertEqual(len(agent.wait_audit("counters_reset", count=3)), 3)
        client.shutdown()

    def test_reset_without_an_agent(self):
        agent = self.agent({"p": limited(self.SERVER.match, 1)})
        client = self.begin()
        self.assert_result(self.called(client))
        client.shutdown()
        in_use = callgate("counters", "--control", "/none", "--state", self.state_of(agent))
        self.assertEqual(in_use.returncode, 70)
        self.assertIn("in use by another agent", in_use.stderr)
        self.stop_agent(agent)
        done = callgate("counters", "reset", "--all", "--yes", "--control", "/none", "--state", self.state_of(agent))
        self.assertEqual((done.returncode, done.stdout), (0, "1 reset\n"))
        self.assertEqual(callgate("counters", "--control", "/none", "--state", self.state_of(agent)).stdout, "no counters\n")

    def test_a_damaged_file_is_moved_aside(self):
        first = self.agent({"p": limited(self.SERVER.match)})
        self.stop_agent(first)
        file = self.state_of(first) / "counters"
        file.write_bytes(b"x" * 10000)
        agent = self.again(first)
        self.assertTrue(any("damaged" in problem for problem in agent.status()["problems"]), agent.status()["problems"])
        self.assertEqual(len(agent.audit("policy_problem")), 1)
        self.assertEqual((self.state_of(first) / "counters.damaged").read_bytes(), b"x" * 10000)
        self.assert_result(self.called(self.begin()))

    def test_a_newer_file_is_refused(self):
        first = self.agent({"p": limited(self.SERVER.match)})
        self.stop_agent(first)
        file = self.state_of(first) / "counters"
        file.write_bytes(file.read_bytes()[:16] + b"\x02" + file.read_bytes()[17:])
        before = file.read_bytes()
        with self.assertRaises(AssertionError):
            self.again(first)
        self.assertIn("written by a newer version", self._agents[-1].log())
        self.assertEqual(file.read_bytes(), before)


if __name__ == "__main__":
    main()
