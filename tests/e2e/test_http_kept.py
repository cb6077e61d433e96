"""The agent ends while connections are steered: those that come until there is another one wait for it, and no call gets past."""
import contextlib
import signal
import socket
import subprocess

from governed_http import *  # noqa: F403
from callgate_harness.agent import Agent
from governed_http import (BINARY, CPP_HTTP, PYTHON_HTTP, HttpEndToEnd, NetworkPair, json, main, make_request, os, policy,
                           wait_for)
from test_http_lifecycle import DENIED_CALL
from traffic import Traffic, raw_post

NOT_YET = 0.3  # seconds in which what waits would have come


class Kept(HttpEndToEnd):
    def kept(self, spec, **more):
        return self.agent({"example": policy(spec.match, denied="delete_note", **more)}, keeper=True)

    def kill(self, agent):
        os.kill(agent.pid, signal.SIGKILL)

    @contextlib.contextmanager
    def between_two_agents(self, agent):
        """One is killed, and the keeper does not get to start the next one until the end."""
        agent.process.send_signal(signal.SIGSTOP)
        try:
            self.kill(agent)
            wait_for(lambda: is_zombie(agent.pid), "the agent's end")
            yield
        finally:
            agent.process.send_signal(signal.SIGCONT)
            agent.wait_ready()


def is_zombie(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0] == "Z"


def peers_of(port):
    """Ports of this host that have a connection over IPv4 to this one."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in list(table)[1:]]
    return [int(row[1].split(":")[1], 16) for row in rows if int(row[2].split(":")[1], 16) == port and row[3] == "01"]


class TestAnotherAgentFollows(Kept):
    def test_no_call_gets_past(self):
        """Under load, again and again; what the agent had in hand when it was killed is asked again."""
        for how in (lambda agent: (self.kill(agent), agent.wait_ready()), Agent.restart):
            with self.case(killed=how is not Agent.restart):
                server = self.server(CPP_HTTP, logged=True)
                agent = self.kept(CPP_HTTP)
                with Traffic(server, keep_alive=4, fresh=4) as traffic:
                    for _ in range(3):
                        traffic.advance("governed calls")
                        how(agent)
                    traffic.advance("governed calls again")
                traffic.check()
                traffic.check_received()
                self.assertEqual(traffic.total("executed"), 0)
                self.assertGreater(traffic.total("denied"), 0)
                self.assert_not_received(server, b'"delete_note"')

    def test_who_comes_meanwhile_waits(self):
        """For any length of time, in every network namespace; and in the agent's own it is found out who that is."""
        pair = NetworkPair()
        self.addCleanup(pair.remove)
        here, there = self.server(PYTHON_HTTP), self.server(CPP_HTTP, host="10.77.0.1", prefix=pair.server.prefix)
        agent = self.agent({spec.name: policy(spec.match, denied="delete_note") for spec in (PYTHON_HTTP, CPP_HTTP)}, keeper=True)
        with self.between_two_agents(agent):
            waiting = [self.connect(here)]
            with pair.client.entered():
                waiting.append(self.connect(there))
            for connection in waiting:
                connection.send(make_request("POST", "/mcp", [("Content-Type", "application/json")], DENIED_CALL))
            for connection in waiting:
                connection.socket.settimeout(NOT_YET)
                with self.assertRaises(TimeoutError):
                    connection.socket.recv(1, socket.MSG_PEEK)
                connection.socket.settimeout(20)
        for connection in waiting:
            self.assert_denial(connection.read_response("POST"), 1)
        self.assert_judged(agent, "tools/call", "deny", count=2)
        here_alone = agent.audit("message", policy=PYTHON_HTTP.name)
        self.assertEqual([record["peer"]["pid"] for record in here_alone], [os.getpid()])
        self.assert_denial(raw_post(here, DENIED_CALL), 1)

    def test_a_port_of_the_agent_that_is_gone(self):
        """Connections from there passed while it lived; who binds to it now waits like everybody else."""
        server = self.server(CPP_HTTP, logged=True)
        agent = self.kept(CPP_HTTP)
        client = self.mcp(server)
        port = [port for port in peers_of(server.port) if port % 2 and port != client.connection.local_port][0]
        with self.between_two_agents(agent):
            def connected():
                end = socket.socket()
                end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                with contextlib.suppress(OSError):  # it is still in TIME_WAIT
                    end.bind((server.host, port))
                    end.connect((server.host, server.port))
                    return end
                end.close()
            connection = wait_for(connected, "the port can be had", interval=0.1)
            self.addCleanup(connection.close)
            connection.send(make_request("POST", "/mcp", [("Content-Type", "application/json")], DENIED_CALL))
            connection.settimeout(NOT_YET)
            with self.assertRaises(TimeoutError):
                connection.recv(1)
        self.assert_not_received(server, b'"delete_note"')

    def test_a_server_that_starts_again_meanwhile(self):
        server = self.server(CPP_HTTP, logged=True)
        agent = self.kept(CPP_HTTP)
        self.assert_denial(raw_post(server, DENIED_CALL), 1)
        with self.between_two_agents(agent):
            server.kill()
            again = self.server(CPP_HTTP, port=server.port, wait=False, logged=True)
        self.assert_denial(raw_post(again, DENIED_CALL), 1)
        self.assert_not_received(again, b'"delete_note"')


class TestNoAgentFollows(Kept):
    def test_open_lets_connections_through(self):
        server = self.server(CPP_HTTP)
        agent = self.kept(CPP_HTTP, fail="open")
        self.assert_denial(raw_post(server, DENIED_CALL), 1)
        path = agent.config_directory / "callgate.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "nonsense": 1}))
        self.kill(agent)
        self.assertEqual(agent.process.wait(20), 78)
        self.assertEqual(raw_post(server, DENIED_CALL).json()["result"]["content"][0]["text"], "done")

    def test_closed_ends_who_listens(self):
        """`callgate guard` does, which systemd starts when the agent has failed."""
        for fail in ("closed", "open"):
            with self.case(fail=fail):
                server = self.server(CPP_HTTP)
                agent = self.agent({"example": policy(CPP_HTTP.match, denied="delete_note", fail=fail)})
                agent.process.kill()
                agent.process.wait()
                words = [str(BINARY), "guard", "--config", str(agent.config_directory), "--scope-tree", str(os.getpid()), "--audit",
                         str(agent.audit_path), "--control", str(agent.control_path)]
                with open(agent.log_path, "ab") as log:
                    guard = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=log)
                self.addCleanup(guard.wait)
                self.addCleanup(guard.kill)
                wait_for(lambda: "no agent runs" in agent.log(), "the guard")
                if fail == "closed":
                    self.assertEqual(server.process.wait(10), -signal.SIGKILL)
                    event = agent.wait_audit("session_blind")[0]
                    self.assertEqual((event["killed"], event["policy"], event["server"]["pid"]), (True, "example", server.pid))
                    self.assertIn("it listens", event["reason"])
                else:
                    self.assertEqual(raw_post(server, DENIED_CALL).json()["result"]["content"][0]["text"], "done")


if __name__ == "__main__":
    main()
