"""What finds servers cannot do its work: it hangs, it fails, or the kernel's table is full. Who is not governed then is said to be, and
whoever is governed goes on."""
import os
import signal
import socket
import time
import unittest

from governed import *  # noqa: F403
from governed import ANSWER_SECONDS, FAULTS, LONG, EndToEnd, Path, cpp_server, echo, echoed, kernel_tables, main, policy, select, subprocess, wait_for
from test_stopped_agent import Stopped

CHANNELS_MAX, WATCH = 65536, 1  # bpf/wire.h
TOO_MANY = "too many channels are watched"


def labelled(name, **more):
    server = cpp_server(f"--label={name}")
    return server, policy({"command": f"*{server.command[-1]}*"}, denied="delete_note", **more)


def hanging_on(agent):
    """Processors of the thread that hangs, pause(2) or clock_nanosleep(2); None where none does."""
    for task in Path(f"/proc/{agent.pid}/task").iterdir():
        if (task / "comm").read_text() == "callgate-watch\n" and (task / "syscall").read_text().split()[0] in ("34", "230"):
            return os.sched_getaffinity(int(task.name))
    return None


class TestFaults(Stopped):
    def begin(self, **more):
        """An agent with one live session."""
        self.fault = self.directory() / "step"
        os.environ["CALLGATE_FAULT_FILE"] = str(self.fault)
        self.addCleanup(os.environ.pop, "CALLGATE_FAULT_FILE")
        live, live_policy = labelled("live")
        late, late_policy = labelled("late", **more)
        agent = self.agent({"live": live_policy, "late": late_policy}, keeper=True, binary=FAULTS)
        client = self.client(live.command)
        client.initialize()
        self.assert_denied(client.call("delete_note"))
        return agent, live, client, late

    def client_of_the_other_thread(self, agent, server):
        """One of the agent's threads hangs over its start; the other one is free to hear and to stop it where it reads."""
        client = self.client(server.command)
        wait_for(lambda: hanging_on(agent), "a thread that hangs")
        os.sched_setaffinity(client.pid, hanging_on(agent))
        return client

    @unittest.skipUnless(LONG, "the watchdog's time")
    def test_it_hangs(self):
        """The relay goes on, the agent is ended by its watchdog, and the next one governs what the hanging one had not."""
        agent, live, client, late = self.begin()
        before, session = agent.pid, agent.sessions()[0]["session"]
        self.fault.write_text("hang: to be identified")
        other = self.client_of_the_other_thread(agent, late)
        for number in range(20):
            self.assertEqual(echoed(client.answer(echo(client, live, str(number)))), str(number))
        self.assert_denied(client.call("delete_note"))
        waited = time.monotonic()
        other.initialize()  # it goes on long before the watchdog's time is over
        self.assertLess(time.monotonic() - waited, 15)
        os.kill(before, 0)
        agent.wait_ready(3 * ANSWER_SECONDS)
        self.assertNotEqual(agent.pid, before)
        self.assert_denied(client.call("delete_note"))
        self.assertEqual(self.assert_enforced(agent, client.pid)["session"], session)
        self.assert_enforced(agent, other.pid)
        self.assert_denied(other.call("delete_note"))
        self.assertEqual((client.shutdown(), other.shutdown()), (0, 0))

    def test_the_watchdog_is_told_no_more(self):
        """As long as it hangs."""
        notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(notified.close)
        path = self.directory() / "notify"
        notified.bind(str(path))
        os.environ["CALLGATE_SLOW_STEP"] = "to be identified 4000000"
        self.addCleanup(os.environ.pop, "CALLGATE_SLOW_STEP")
        live, rules = labelled("live")
        agent = self.agent({"live": rules}, binary=FAULTS, environment={"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "1000000"})
        client = self.client(live.command)

        def told():
            """How often it says that it gets on, in a second."""
            until, count = time.monotonic() + 1, 0
            while (left := until - time.monotonic()) > 0:
                if select.select([notified], [], [], left)[0]:
                    count += notified.recv(4096) == b"WATCHDOG=1"
            return count
        wait_for(lambda: told() == 0, "silence", seconds=5)
        wait_for(lambda: told() > 0, "the end of it")
        client.initialize()
        self.assert_denied(client.call("delete_note"))
        self.assertEqual(client.shutdown(), 0)

    def test_it_hangs_for_a_while(self):
        """Who went on meanwhile is said to be blind, and governed from then on."""
        os.environ["CALLGATE_SLOW_STEP"] = "to be identified 8000000"
        self.addCleanup(os.environ.pop, "CALLGATE_SLOW_STEP")
        late, rules = labelled("late", on_blind="allow")
        agent = self.agent({"late": rules}, binary=FAULTS)
        client = self.client_of_the_other_thread(agent, late)
        waited = time.monotonic()
        client.initialize()
        self.assertTrue(2 < time.monotonic() - waited < 7.5)
        blind = agent.wait_audit("session_blind")[0]
        self.assertEqual(blind["server"]["pid"], client.pid)
        self.assertRegex(blind["reason"], "^the hold ran out: .* not judged$")
        self.assert_enforced(agent, client.pid)
        self.assert_denied(client.call("delete_note"))
        self.assertEqual(client.shutdown(), 0)

    def test_a_decision_fails(self):
        """That is said of the server, and what its policy wants for servers that cannot be governed is done; the agent goes on."""
        for on_blind in ("allow", "kill"):
            with self.case(on_blind=on_blind):
                agent, live, client, late = self.begin(on_blind=on_blind)
                before = agent.pid
                self.fault.write_text("throw: to be identified")
                other = self.client(late.command)
                blind = agent.wait_audit("session_blind", policy="late")[0]
                self.assertFalse(self.fault.exists())
                self.assertEqual((blind["server"]["pid"], blind["reason"]), (other.pid, "it could not be looked at: std::bad_alloc"))
                if on_blind == "kill":
                    self.assertEqual(other.wait(), -signal.SIGKILL)
                else:  # what it reads is another event
                    other.initialize()
                    self.assert_denied(other.call("delete_note"))
                    self.assertEqual(other.shutdown(), 0)
                self.assertEqual(echoed(client.answer(echo(client, live, "goes on"))), "goes on")
                next_one = self.client(late.command)
                next_one.initialize()
                self.assert_denied(next_one.call("delete_note"))
                self.assertEqual((client.shutdown(), next_one.shutdown()), (0, 0))
                self.assertEqual(agent.pid, before)
                self.assertEqual(len(agent.audit("session_blind")), 1)


class TestFullTable(EndToEnd):
    def change(self, agent, line):
        """Does so for each of as many channels as the kernel's table has room for, none of which there is."""
        number = kernel_tables(agent.pid)["channels"]
        file = self.directory() / "batch"
        keys = ((1 << 60 | each).to_bytes(8, "little") + bytes(8) for each in range(CHANNELS_MAX))
        file.write_text("".join(line.format(number=number, key=key.hex(" ")) + "\n" for key in keys))
        return subprocess.run(["bpftool", "batch", "file", str(file)], capture_output=True, text=True, timeout=60)

    def test_nobody_is_governed_unseen(self):
        allowed, allowed_policy = labelled("allowed", on_blind="allow")
        killed, killed_policy = labelled("killed", on_blind="kill")
        agent = self.agent({"allowed": allowed_policy, "killed": killed_policy})
        before = self.client(allowed.command)
        before.initialize()
        value = bytes([WATCH]) + bytes(31)
        done = self.change(agent, "map update id {number} key hex {key} value hex " + value.hex(" "))
        self.assertIn("Argument list too long", done.stdout + done.stderr)
        end = self.client(killed.command)
        self.assertEqual(end.wait(), -signal.SIGKILL)
        self.assertIn(TOO_MANY, agent.wait_audit("session_blind", policy="killed")[0]["reason"])
        client = self.client(allowed.command)
        self.assertIn(TOO_MANY, agent.wait_audit("session_blind", policy="allowed")[0]["reason"])
        session = self.assert_enforced(agent, client.pid)["session"]
        self.assertIn(TOO_MANY, agent.wait_audit("session_start", session=session)[0]["remark"])
        client.initialize()
        for each in (client, before):
            self.assert_denied(each.call("delete_note"))
            self.assertEqual(each.shutdown(), 0)
        self.assertEqual(agent.status()["kernel"]["channels_full"], 2)
        done = self.change(agent, "map delete id {number} key hex {key}")
        for server in (allowed, killed):
            client = self.client(server.command)
            client.post("tools/call", {"name": "delete_note"}, identifier="first")
            self.assert_denied(client.answer("first"))
            self.assertEqual(client.shutdown(), 0)
        self.assertEqual(len(agent.audit("session_blind")), 2)


if __name__ == "__main__":
    main()
