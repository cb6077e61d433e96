"""The verdict corpus through a governed server: whole, and a few bytes at a time. What is refused never reaches the
server, what is accepted reaches it byte for byte, and the answers are those of the corpus."""
from governed import *  # noqa: F403
from governed import MCP_SERVER, ROOT, EndToEnd, contextlib, cpp_server, json, main, policy

REFUSED_CODES = (-32700, -32600)  # the test server itself never uses them
SMALL = 4096                      # longer inputs are fed in larger odd pieces
INITIALIZE = (b'{"jsonrpc":"2.0","id":"corpus","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
              b'"clientInfo":{"name":"corpus","version":"1"}}}\n')
LAST = b'{"jsonrpc":"2.0","id":"last","method":"ping"}\n'
LIMIT_MIN = 1024                  # the smallest frame limit that a configuration may set


def to_bytes(text):
    return text.encode("latin-1")


def input_bytes(case):
    parts = case["input"] if isinstance(case["input"], list) else [case["input"]]
    data = b"".join(to_bytes(p) if isinstance(p, str) else to_bytes(p[0]) * p[1] for p in parts)
    if case.get("frame_bytes_max", LIMIT_MIN) < LIMIT_MIN:  # as much longer as the limit is: spaces at the first line's end
        line, rest = data.split(b"\n", 1)
        data = line + b" " * (LIMIT_MIN - case["frame_bytes_max"]) + b"\n" + rest
    return data


def cases(direction):
    lines = (ROOT / "tests" / "corpus" / "verdicts.jsonl").read_text().splitlines()
    return [case for case in map(json.loads, lines) if case["direction"] == direction]


def expectation(case):
    """What the server must read, and the lines that the agent must answer."""
    lines = split_lines(input_bytes(case))
    accepted = b"".join(line for line, frame in zip(lines, case["frames"]) if frame["refusal"] == "none")
    answers = [to_bytes(frame["answer"]) for frame in case["frames"] if frame["answer"] is not None]
    return accepted, answers


def split_lines(data):
    *lines, rest = data.split(b"\n")
    return [line + b"\n" for line in lines] + ([rest] if rest else [])


def is_refusal(line):
    with contextlib.suppress(ValueError):
        message = json.loads(line)
        return isinstance(message, dict) and message.get("error", {}).get("code") in REFUSED_CODES
    return False


class TestVerdicts(EndToEnd):
    def feed(self, case, size):
        """One session: initialize, the case, and a ping unless the case ends the input."""
        log = self.place / "log"
        log.write_bytes(b"")
        client = self.client([MCP_SERVER, "--log", str(log)])
        client.send(INITIALIZE)
        client.answer("corpus")
        data = input_bytes(case)
        if size is None:
            client.send(data)
        else:
            client.send_in_pieces(data, size)
        lines = []
        if not case.get("eof"):
            client.send(LAST)
            while True:
                line = client.read_line()
                self.assertTrue(line, f"no answer to the last frame: {lines}")
                if line == b'{"jsonrpc":"2.0","id":"last","result":{}}\n':
                    break
                lines.append(line)
        client.close_stdin()
        lines += client.read_rest()
        self.assertEqual(client.wait(), 0)
        client.kill()
        return log.read_bytes(), [line for line in lines if is_refusal(line)]

    def check(self, case):
        accepted, answers = expectation(case)
        expected = INITIALIZE + accepted + (b"" if case.get("eof") else LAST)
        for size in (None, 1, 3, 7) if len(input_bytes(case)) <= SMALL else (None, 4099, 65537):
            with self.case(case=case["name"], pieces=size):
                read, answered = self.feed(case, size)
                self.assertEqual(read, expected)
                self.assertEqual(answered, answers)

    def test_client_to_server(self):
        self.place = self.directory()
        for limited in (False, True):
            agent = self.agent({"allow": policy(cpp_server().match)}, config={"frame_bytes_max": LIMIT_MIN} if limited else {})
            for case in cases("c2s"):
                if ("frame_bytes_max" in case) == limited:
                    self.check(case)
            self.stop_agent(agent)

    def test_refusals_are_recorded(self):
        self.place = self.directory()
        agent = self.agent({"allow": policy(cpp_server().match)})
        group = [case for case in cases("c2s") if "frame_bytes_max" not in case]
        for number, case in enumerate(group, 1):
            with self.case(case=case["name"]):
                self.feed(case, None)
                session = agent.wait_audit("session_end", count=number)[-1]["session"]
                recorded = [r.get("refusal") for r in agent.audit("message", session=session, direction="c2s", decision="refuse")]
                refused = [frame["refusal"] for frame in case["frames"] if frame["refusal"] not in ("none", "empty")]
                self.assertEqual(recorded, refused)

    def test_server_to_client(self):
        """Whatever a server prints reaches the client as it is."""
        path = self.directory() / "output"
        self.agent({"allow": policy(cpp_server().match)})
        for case in cases("s2c"):
            with self.case(case=case["name"]):
                path.write_bytes(input_bytes(case))
                client = self.client([MCP_SERVER])
                client.initialize()
                client.send(b'{"jsonrpc":"2.0","id":"go","method":"tools/call","params":{"name":"print","arguments":{"path":"%s"}}}\n'
                            % str(path).encode())
                client.send(LAST)
                seen = b""
                while not seen.endswith(b'"last","result":{}}\n'):
                    line = client.read_line()
                    self.assertTrue(line, seen)
                    seen += line
                self.assertTrue(seen.startswith(input_bytes(case)), seen)
                self.assertEqual(client.shutdown(), 0)

    def test_what_a_client_could_take_for_a_request(self):
        """Where a rule speaks of what the server may ask, what our parser refuses is no way around it."""
        path, log = self.directory() / "output", self.directory() / "log"
        methods = {name: {"action": "deny"} for name in ("sampling/createMessage", "elicitation/*", "notifications/message")}
        agent = self.agent({"methods": policy(cpp_server().match, methods=methods)})
        rows = (ROOT / "tests" / "corpus" / "server_messages.jsonl").read_text().splitlines()
        for number, case in enumerate(map(json.loads, rows), 1):
            with self.case(case=case["name"]):
                lines = zip(split_lines(input_bytes(case)), case["lines"])
                expected = b"".join(line for line, verdict in lines if verdict != "denied")
                path.write_bytes(input_bytes(case))
                log.write_bytes(b"")
                client = self.client([MCP_SERVER, "--log", str(log)])
                client.initialize()
                client.send(b'{"jsonrpc":"2.0","id":"go","method":"tools/call","params":{"name":"print","arguments":{"path":"%s"}}}\n'
                            % str(path).encode())
                seen = b""
                while b'"id":"go"' not in seen:
                    line = client.read_line()
                    self.assertTrue(line, seen)
                    seen += line
                self.assertTrue(seen.startswith(expected + b'{"jsonrpc"'), seen)
                self.assertEqual(client.shutdown(), 0)
                told = [json.loads(line)["id"] for line in log.read_bytes().splitlines() if b"-31403" in line]
                self.assertEqual(told, [json.loads(case["answered_id"])] if case["answered_id"] else [])
                session = agent.wait_audit("session_end", count=number)[-1]["session"]
                recorded = [r["decision"] for r in agent.audit("message", session=session, direction="s2c", kind="invalid")]
                self.assertEqual(recorded, [{"denied": "deny", "recorded": "pass"}[v] for v in case["lines"] if v != "printed"])


if __name__ == "__main__":
    main()
