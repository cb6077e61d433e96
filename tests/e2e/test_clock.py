"""The host's clock is set, by hours and in both directions, while limits, approvals and the audit log run.

The agent is the program as it is shipped; a preloaded library (tests/harness/set_clock.cpp) makes its CLOCK_REALTIME wrong by as
much as the test says, and no other clock.
"""
import datetime
import mmap
import struct
import time

from governed import *  # noqa: F403
from governed import LIMITED, LONG, MCP_SERVER, NOTES_PY, SLOWNESS, EndToEnd, Path, cpp_server, echo, echoed, json, main, policy, wait_for

LIBRARY = Path(MCP_SERVER).parent / "set_clock.so"
MINUTE, HOUR, DAY = 60, 3600, 86400
WINDOWS = (("minute", MINUTE), ("hour", HOUR), ("day", DAY))
# The middle of an hour and of a day: no window's boundary comes by while a test runs.
NOON = int(datetime.datetime(2030, 6, 5, 12, 30, 20, tzinfo=datetime.timezone.utc).timestamp())


class Clock:
    """Of one agent, as it is set."""

    def __init__(self, directory):
        self.path = directory / "clock"
        self.path.write_bytes(bytes(8))
        with open(self.path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 8)
        self.set(NOON)

    def set(self, seconds):
        self.memory[:] = struct.pack("=q", seconds * 10**9 - time.time_ns())

    @property
    def environment(self):
        # AddressSanitizer would be the first of the libraries.
        return {"LD_PRELOAD": str(LIBRARY), "CALLGATE_CLOCK": str(self.path), "ASAN_OPTIONS": "verify_asan_link_order=0"}


def seconds_of(text):
    return datetime.datetime.fromisoformat(text[:19] + "+00:00").timestamp()


class TestClock(EndToEnd):
    def begin(self, tool, server=NOTES_PY, **more):
        clock = Clock(self.directory())
        agent = self.agent({"p": policy(server.match, tools={"echo": tool})}, environment=clock.environment, **more)
        client = self.client(server.command)
        client.initialize()
        return clock, agent, client

    def allowed(self, client):
        """How many calls go through now, until one is denied; six at most."""
        for count in range(6):
            if client.call("echo", {"text": "x"})["result"].get("isError"):
                return count
        return 6

    def test_no_window_is_wider_and_nobody_is_locked_out(self):
        for window, length in WINDOWS if LONG else WINDOWS[:1]:
            for sliding in (False, True):
                with self.case(window=window, sliding=sliding):
                    limit = {"counter": "c", "window": window, "max": 3, "sliding": sliding}
                    clock, agent, client = self.begin({"limits": [limit]})
                    self.assertEqual(self.allowed(client), 3)
                    # However far back, and again: not one more.
                    for back in (1, HOUR, 5 * HOUR, 400 * DAY):
                        clock.set(NOON - back)
                        self.assertEqual(self.allowed(client), 0, back)
                    # It stays there, and time passes: two windows later there is room, and so it goes on.
                    clock.set(NOON - 400 * DAY + 2 * length + length // 5)
                    self.assertEqual(self.allowed(client), 3)
                    self.assertEqual(self.allowed(client), 0)
                    # For a moment it is far ahead: that is another window. Back again, there is none for that.
                    clock.set(NOON + 1000 * DAY)
                    self.assertEqual(self.allowed(client), 3)
                    clock.set(NOON)
                    decision = self.assert_denied(client.call("echo", {"text": "x"}), code=LIMITED)
                    self.assertLessEqual(decision["retryAfterMs"], 1000 * (2 * length + 2 * length // 5))
                    clock.set(NOON + 2 * length + length // 5)
                    self.assertEqual(self.allowed(client), 3)
                    client.shutdown()
                    self.stop_agent(agent)

    def test_an_agent_that_starts_before_the_clock_is_right(self):
        """As hosts without a battery do: it is 1970 until the network is there."""
        limit = {"counter": "c", "window": "day", "max": 3}
        clock, first, client = self.begin({"limits": [limit]})
        self.assertEqual(self.allowed(client), 3)
        client.shutdown()
        self.stop_agent(first)
        clock.set(10)
        self.agent({"p": policy(NOTES_PY.match, tools={"echo": {"limits": [limit]}})}, environment=clock.environment,
                   config={"state_directory": str(first.directory / "state")})
        client = self.client(NOTES_PY.command)
        client.initialize()
        self.assertEqual(self.allowed(client), 0)
        clock.set(NOON + MINUTE)
        self.assertEqual(self.allowed(client), 0)
        clock.set(NOON + DAY)
        self.assertEqual(self.allowed(client), 3)
        client.shutdown()

    def test_an_approval_does_not_live_longer(self):
        clock, agent, client = self.begin({"action": "require_approval", "approval_timeout": "3s"})
        for back in (HOUR, 30 * DAY):
            first = client.call("echo", {"text": "x"})["error"]["data"]["approval_id"]
            started = time.monotonic()
            agent.command("approvals", "approve", first)
            clock.set(NOON - back)
            listed = json.loads(agent.command("approvals", "list", "--json", "--all").stdout)["approvals"]
            self.assertIn(first, [each["id"] for each in listed])
            wait_for(lambda: time.monotonic() - started > 3.1, "its time to be over", interval=0.05)
            self.assertNotEqual(client.call("echo", {"text": "x"})["error"]["data"]["approval_id"], first)
            clock.set(NOON)
        # What is asked for while the clock is ahead can be approved and used once it is right again.
        clock.set(NOON + 30 * DAY)
        second = client.call("echo", {"text": "y"})["error"]["data"]["approval_id"]
        clock.set(NOON)
        agent.command("approvals", "approve", second)
        self.assert_result(client.call("echo", {"text": "y"}))
        client.shutdown()

    def test_what_waits_and_what_is_recorded(self):
        """Records have the time that the clock says, in the order in which they were made; no duration is of that clock."""
        limit = {"counter": "c", "max_in_flight": 1, "on_exceed": "delay", "max_delay_ms": 60000}
        server = cpp_server("--threads", "2")
        clock, agent, client = self.begin({}, server)
        (agent.config_directory / "policies.d" / "p.json").write_text(
            json.dumps(policy(server.match, tools={"sleep": {"limits": [limit]}})))
        agent.command("reload")
        for set_to in (NOON - 5 * HOUR, NOON + 5 * HOUR, NOON):
            slow = client.post("tools/call", {"name": "sleep", "arguments": {"ms": 300 * SLOWNESS}})
            waiting = client.post("tools/call", {"name": "sleep", "arguments": {"ms": 1}})
            wait_for(lambda: agent.status()["frames"]["held"] == 1, "the call waiting")
            clock.set(set_to)
            for identifier in (slow, waiting):
                self.assert_result(client.answer(identifier))
            self.assertEqual(echoed(client.answer(echo(client, server, "now"))), "now")
            records = agent.wait_audit("message", count=1, direction="c2s", tool="echo")
            found = wait_for(lambda: [r for r in agent.audit("message", direction="c2s", tool="echo")
                                      if set_to <= seconds_of(r["time"]) < set_to + 30], "a record of that time")
            self.assertTrue(found, records[-1])
        client.shutdown()
        agent.wait_audit("session_end")
        records = agent.audit("message")
        for record in records:
            self.assertTrue(0 <= record["queue_ns"] < 60 * 10**9, record)
            self.assertTrue(0 <= record["judge_ns"] < 60 * 10**9, record)
            self.assertTrue(0 <= record.get("latency_ns", 0) < 60 * 10**9, record)
        self.assertEqual([r["rpc_id"] for r in records if r.get("tool") == "echo"],
                         sorted(r["rpc_id"] for r in records if r.get("tool") == "echo"))


if __name__ == "__main__":
    main()
