"""The test case: what it starts it ends, and the checks that end each test."""
import collections
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from .agent import Agent, assert_conserved
from .base import BINARY, DENIED, LIMITED, SLOWNESS, wait_for
from .processes import bpf_alive, descendants, exe_of
from .sdk_client import SdkClient
from .stdio_client import StdioClient

ATTEMPTS_MAX = 3
KEPT = os.environ.get("CALLGATE_KEEP")  # a directory: what the agents of a failed test leave goes there


class EndToEnd(unittest.TestCase):
    maxDiff = None

    def run(self, result=None):
        """As unittest does; again where it failed although, as the agent itself says, a hold had run out meanwhile.

        A virtual processor that its host does not run for some tens of milliseconds makes any hold run out: the agent
        reports it, and what came of the test then says nothing about callgate. A defect shows without that, too; not always at
        once: what fails beside a hold that ran out is worth a look.
        """
        result = result or self.defaultTestResult()
        for attempt in range(1, ATTEMPTS_MAX + 1):
            outcomes = [(outcome, len(outcome)) for outcome in (result.failures, result.errors)]
            expired = self._run_once(result)
            if all(len(outcome) == before for outcome, before in outcomes) or not expired or attempt == ATTEMPTS_MAX:
                return result
            for outcome, before in outcomes:
                del outcome[before:]
            print(f"---- {self.id()}: {expired} hold(s) ran out on this host; it runs again ----", file=sys.stderr)

    def _run_once(self, result):
        """How many holds of its agents ran out, without those for which a case was made again."""
        self._agents = []
        self._more_attempts, self._excused = ATTEMPTS_MAX - 1, 0
        self._stderr = tempfile.TemporaryFile()
        troubles = len(result.failures) + len(result.errors)
        super().run(result)
        failed = len(result.failures) + len(result.errors) > troubles
        if failed:
            for agent in self._agents:
                print(f"---- agent of {self.id()} ----\n{agent.log()[-2000:]}{json.dumps(agent.last_status)}", file=sys.stderr)
                if agent.audit_path.exists():
                    print("\n".join(agent.audit_path.read_text().splitlines()[-8:]), file=sys.stderr)
            self._stderr.seek(0)
            print(f"---- what servers and clients wrote to stderr ----\n"
                  f"{self._stderr.read().decode(errors='replace')[-4000:]}", file=sys.stderr)
        for agent in self._agents:
            if failed and KEPT:
                agent.keep(KEPT)
            else:
                agent.remove()
        self._stderr.close()
        return self._expired_holds() - self._excused

    def _expired_holds(self):
        """Of all its agents so far, as each said last."""
        for agent in self._agents:
            if agent.running:
                with contextlib.suppress(AssertionError, ValueError, OSError, subprocess.TimeoutExpired):
                    agent.last_status = agent.status()
        kernels = [agent.last_status["kernel"] for agent in self._agents if agent.last_status]
        return sum(kernel[what] for kernel in kernels for what in ("hold_expired", "listen_expired", "exit_expired"))

    @contextlib.contextmanager
    def case(self, **parameters):
        """A subTest at whose end its own agents and clients are gone, so that one failure does not lead to the next."""
        with self.subTest(**parameters), self._own_cleanups():
            yield

    def attempts(self, **parameters):
        """A case of many, each of which a hold that runs out may spoil:  for attempt in self.attempts(…):  with attempt:  …

        Where run() would have all of the test again, only the case is made again, but ATTEMPTS_MAX - 1 times in a test at most.
        """
        again = True
        while again:
            again = False

            @contextlib.contextmanager
            def attempt():
                nonlocal again
                expired = self._expired_holds()
                with self.subTest(**parameters):
                    try:
                        with self._own_cleanups():
                            yield
                    except Exception:
                        expired = self._expired_holds() - expired
                        if not expired or not self._more_attempts:
                            raise
                        self._more_attempts -= 1
                        self._excused += expired
                        again = True
                        print(f"---- {self.id()} {parameters}: {expired} hold(s) ran out; it is made again ----", file=sys.stderr)
            yield attempt()

    @contextlib.contextmanager
    def _own_cleanups(self):
        outside, self._cleanups = self._cleanups, []
        # Around the rest: what failed first is said first.
        with contextlib.ExitStack() as stack:
            try:
                yield
            finally:
                inside, self._cleanups = self._cleanups, outside
                for function, arguments, keywords in inside:
                    stack.callback(function, *arguments, **keywords)

    def agent(self, policies, kind=Agent, **options):
        """A started agent that is stopped, and checked, when the test ends."""
        agent = kind(policies, **options)
        self._agents.append(agent)
        agent.start()
        self.addCleanup(self._finish, agent)
        return agent

    def client(self, command, **options):
        client = StdioClient(command, **{"stderr": self._stderr, **options})
        self.addCleanup(client.kill)
        return client

    def sdk_client(self, command, steps, **options):
        client = SdkClient(command, steps, stderr=self._stderr, **options)
        self.addCleanup(client.kill)
        return client

    def directory(self):
        path = tempfile.mkdtemp(prefix="callgate-e2e-")
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return Path(path)

    # -- checks on answers
    def assert_result(self, answer):
        self.assertIn("result", answer)
        self.assertFalse(answer["result"].get("isError", False), answer)
        return answer["result"]

    def assert_denied(self, answer, *, code=DENIED, rule=None, reason=None):
        """A tool result that says so, with the decision beside it; returns the decision."""
        self.assertEqual(set(answer), {"jsonrpc", "id", "result"})
        return self.assert_denied_result(answer["result"], code=code, rule=rule, reason=reason)

    def assert_denied_result(self, result, *, code=DENIED, rule=None, reason=None):
        self.assertIs(result["isError"], True)
        text = result["content"][0]["text"]
        self.assertTrue(text.startswith("[POLICY DENIED] "), text)
        decision = result["_meta"]["io.callgate/decision"]
        self.assertEqual(decision["code"], code, result)
        if rule is not None:
            self.assertTrue(decision["rule"] == rule or decision["rule"].startswith(rule + "/"), decision)
        if reason is not None:
            self.assertEqual(text, f"[POLICY DENIED] {reason}")
        if code == LIMITED:
            self.assertGreater(decision["retryAfterMs"], 0)
        return decision

    # -- checks on the agent
    def assert_enforced(self, agent, pid=None):
        """The session of server process `pid` (or the only session) is enforced; returns what `sessions` says of it."""
        def found():
            listed = [s for s in agent.sessions() if pid is None or s["server"]["pid"] == pid]
            return listed or None
        session = wait_for(found, f"a session of {pid}", seconds=10 * SLOWNESS)[0]
        self.assertEqual(session["state"], "enforced", session)
        return session

    def check_conservation(self, agent):
        status = agent.last_status = agent.status()
        assert_conserved(status["frames"], "status")
        self.assertEqual(status["audit"]["lost"], 0, status)
        kernel = status["kernel"]
        self.assertEqual(kernel["events_seen"], kernel["events_sent"] + kernel["events_lost"], kernel)
        self.assertEqual(kernel["events_lost"], 0, kernel)
        self.assertEqual(kernel["programs_left_out"], 0, kernel)
        return status

    def stop_agent(self, agent):
        """Conservation, SIGTERM, exit code 0, conservation per session, nothing left behind."""
        self.check_conservation(agent)
        self.assertEqual(agent.stop(), 0, agent.log())
        for record in agent.audit("session_end"):
            assert_conserved(record["frames"], f"session {record['session']}")
            self.assertIs(record["conserved"], True)
        identifiers = [record["id"] for record in agent.audit()]
        # One that a killed agent was just writing its successor writes again.
        twice_at_most = 2 if len(agent.audit("agent_start")) > len(agent.audit("agent_stop")) else 1
        self.assertLessEqual(max(collections.Counter(identifiers).values()), twice_at_most, "audit ids repeat")
        self.assertEqual(agent.audit("gap"), [])
        self.assert_nothing_left(agent)

    def assert_nothing_left(self, agent):
        def left():
            alive = {kind: bpf_alive(kind) for kind in {kind for kind, _ in agent.bpf}}
            return [(kind, i) for kind, i in agent.bpf if i in alive[kind]]
        # Programs and maps are freed after an RCU grace period, so a moment may pass.
        wait_for(lambda: not left(), "BPF objects gone", seconds=10 * SLOWNESS, interval=0.05)
        self.assertFalse(agent.control_path.exists(), "the control socket is still there")
        self.assertNotIn(str(agent.directory), Path("/proc/net/unix").read_text())
        self.assertEqual([pid for pid in descendants(os.getpid()) if exe_of(pid) == str(BINARY)], [],
                         "processes of the agent are still there")

    def _finish(self, agent):
        if agent.running:
            try:
                self.stop_agent(agent)
            finally:
                if agent.running:
                    left = descendants(agent.process.pid)  # of a keeper, which is followed by nobody
                    agent.process.kill()
                    agent.process.wait()
                    for pid in left:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
        if agent.process.stdout and not agent.process.stdout.closed:
            agent.process.stdout.close()
        # Also where the process that it was about has been followed by another one.
        _, found, report = agent.log().partition("Sanitizer: ")
        self.assertFalse(found, report)


class TimedResult(unittest.TextTestResult):
    """Says how long each test took, where that is worth knowing."""

    def startTest(self, test):
        super().startTest(test)
        self._started = time.monotonic()

    def addSuccess(self, test):
        seconds = time.monotonic() - self._started
        if seconds >= 1:
            self.stream.write(f"{seconds:.1f} s ... ")
        super().addSuccess(test)


class TimedRunner(unittest.TextTestRunner):
    resultclass = TimedResult


def main():
    unittest.main(verbosity=2, testRunner=TimedRunner)
