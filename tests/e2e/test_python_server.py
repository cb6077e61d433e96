"""A blocking Python server, over the pipes that Python clients make and over socket pairs."""
from governed import *  # noqa: F403
from governed import NOTES_PY, EndToEnd, Governed, main, policy


class TestPythonServer(Governed, EndToEnd):
    SERVERS = (NOTES_PY,)

    def test_everything_pipelined_is_answered_before_the_end(self):
        """Requests and the end of input in one go: all answers, then the end of output, then the exit code."""
        agent = self.agent({"allow": policy(NOTES_PY.match)})
        client = self.client(NOTES_PY.command)
        client.initialize()
        for number in range(200):
            client.post("tools/call", {"name": "echo", "arguments": {"text": str(number)}}, identifier=1000 + number)
        client.close_stdin()
        answers = [json.loads(line) for line in client.read_rest()]
        self.assertEqual([a["id"] for a in answers], list(range(1000, 1200)))
        self.assertEqual([a["result"]["content"][0]["text"] for a in answers], [str(n) for n in range(200)])
        self.assertEqual(client.wait(), 7)
        agent.wait_audit("session_end")

    def test_an_unterminated_last_line_is_judged(self):
        """Python's reader takes the rest at the end of input for a line, so it must pass the policy too."""
        log = self.directory() / "log"
        self.agent({"deny": policy(NOTES_PY.match, denied="delete_note")})
        client = self.client((*NOTES_PY.command, "--log", str(log)))
        client.initialize()
        client.request("ping")
        client.send(b'{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"delete_note","arguments":{}}}')
        client.close_stdin()
        lines = client.read_rest()
        self.assertEqual(len(lines), 1, lines)
        self.assert_denied(json.loads(lines[0]))
        self.assertEqual(client.wait(), 7)
        self.assertNotIn("delete_note", log.read_text())


if __name__ == "__main__":
    main()
