"""The five seed policies over a real minute's end: the next window is fresh, for each of them. Takes up to a minute."""
from governed import *  # noqa: F403
from governed import LIMITED, EndToEnd, main, time, wait_for
from test_seed_policies import MINUTE_MAX, SEEDS, early_in_the_minute, limited_tool, shipped_policies, stand_in


class TestTheNextMinute(EndToEnd):
    def test_every_seed(self):
        early_in_the_minute()
        minute = int(time.time() // 60)
        started = []
        self.agent({seed: shipped_policies(seed)[0][1] for seed in SEEDS})
        for seed in SEEDS:
            tool = limited_tool(shipped_policies(seed)[0][1])
            client = self.client(stand_in(seed), channel="socketpair")
            client.initialize()
            for _ in range(MINUTE_MAX):
                self.assert_result(client.call(tool))
            decision = self.assert_denied(client.call(tool), code=LIMITED)
            started.append((client, tool, time.time() + decision["retryAfterMs"] / 1000))
        self.assertEqual(int(time.time() // 60), minute, "too slow a machine for this test")
        for client, tool, retry_at in started:
            # Not a moment later than the answer said.
            wait_for(lambda: time.time() >= retry_at, "the time to try again", seconds=61)
            for _ in range(MINUTE_MAX):
                self.assert_result(client.call(tool))
            self.assert_denied(client.call(tool), code=LIMITED)
            client.shutdown()


if __name__ == "__main__":
    main()
