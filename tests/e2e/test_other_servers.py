"""Bun, Deno, the TypeScript SDK v2, and C++ servers that read in uncommon ways."""
from governed import *  # noqa: F403
from governed import CPP_SERVERS, MODERN, NOTES_BUN, NOTES_DENO, EndToEnd, Governed, cpp_server, main, policy


class TestBunAndDeno(Governed, EndToEnd):
    SERVERS = (NOTES_BUN, NOTES_DENO)


class TestSdkV2(Governed, EndToEnd):
    SERVERS = (MODERN,)
    CHANNELS = ("socketpair",)


class TestCpp(Governed, EndToEnd):
    SERVERS = CPP_SERVERS


class TestThreads(EndToEnd):
    def test_slow_and_quick_calls_overlap(self):
        """Answers that come out of order pass in the order in which the server gives them."""
        server = cpp_server("--threads", "4")
        agent = self.agent({"allow": policy(server.match)})
        client = self.client(server.command)
        client.initialize()
        slow = client.post("tools/call", {"name": "sleep", "arguments": {"ms": 300}})
        quick = client.post("tools/call", {"name": "echo", "arguments": {"text": "quick"}})
        order = [json.loads(client.read_line())["id"] for _ in range(2)]
        self.assertEqual(order, [quick, slow])
        client.shutdown()
        record = next(r for r in agent.wait_audit("message", count=3, direction="s2c", kind="response")
                      if r.get("latency_ns", 0) > 250_000_000)
        self.assertEqual(record["tool"], "sleep")

    def test_lines_that_are_no_json_reach_the_client(self):
        server = cpp_server("--readv")
        self.agent({"allow": policy(server.match)})
        client = self.client(server.command)
        client.initialize()
        identifier = client.post("tools/call", {"name": "noise"})
        self.assertEqual(client.read_line(), b'this line is no JSON: {"jsonrpc"\n')
        self.assert_result(client.answer(identifier))
        client.shutdown()


if __name__ == "__main__":
    main()
