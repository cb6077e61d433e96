"""How the agent moves bytes: by io_uring, or by epoll where that is refused; it says which, and both govern."""
import subprocess

from governed import *  # noqa: F403
from governed import BINARY, MCP_SERVER, NOTES_PY, EndToEnd, Path, echo, echoed, json, main, policy_for

WITHOUT_IO_URING = Path(MCP_SERVER).parent / "without_io_uring"
CHANNELS = ("pipe", "socketpair")
# More than a pipe holds, and than is read at once.
LONG = "x" * (1 << 20)


class TestRelay(EndToEnd):
    def test_which_relay_is_said(self):
        for binary, begins, state in ((BINARY, "io_uring: ", "ok"),
                                      (WITHOUT_IO_URING, "epoll, for want of io_uring (io_uring_setup", "degraded")):
            with self.case(binary=binary.name):
                agent = self.agent({}, binary=binary)
                self.assertTrue(agent.status()["mechanism"]["relay"].startswith(begins))
                self.stop_agent(agent)
                done = subprocess.run([str(binary), "doctor", "--json"], stdin=subprocess.DEVNULL,
                                      capture_output=True, text=True, timeout=30)
                report = json.loads(done.stdout)
                check, = (each for each in report["checks"] if each["name"] == "io_uring")
                self.assertEqual(check["state"], state)
                self.assertEqual("kernel.io_uring_disabled" in check["remedy"], state != "ok")
                self.assertTrue(any(each.startswith("relay: " + begins) for each in report["mechanism"]))
                self.assertNotIn("everything", json.dumps(report["blind"]))

    def test_long_and_many_messages(self):
        for binary in (BINARY, WITHOUT_IO_URING):
            for channel in CHANNELS:
                with self.case(binary=binary.name, channel=channel):
                    agent = self.agent({"p": policy_for(NOTES_PY)}, binary=binary)
                    client = self.client(NOTES_PY.command, channel=channel)
                    client.initialize()
                    self.assert_denied(client.call(*NOTES_PY.denied))
                    self.assertEqual(echoed(client.answer(echo(client, NOTES_PY, LONG))), LONG)
                    asked = [echo(client, NOTES_PY, f"n{number}") for number in range(100)]
                    answers = [echoed(client.answer(each)) for each in asked]
                    self.assertEqual(answers, [f"n{number}" for number in range(100)])
                    self.stop_agent(agent)
                    self.assertEqual(echoed(client.answer(echo(client, NOTES_PY, "alone"))), "alone")
                    self.assertEqual(client.shutdown(), NOTES_PY.exit_code)


if __name__ == "__main__":
    main()
