"""The agent and the servers come and go while clients call: nothing is lost, nothing is answered twice, nothing stays."""
import signal
import subprocess
import types

from governed_http import *  # noqa: F403
from governed_http import (CPP_HTTP, HTTP_SPECS, NODE, PYTHON, PYTHON_HTTP, REUSE_PORT, SERVERS, HttpConnection, HttpEndToEnd, HttpSpec, bpf_alive,
                           contextlib, descendants, free_port, json, main, make_request, os, policy, time, wait_for)
from traffic import Traffic, raw_post

DENIED_CALL = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "delete_note", "arguments": {}}}).encode()

# Reads on while it answers, and says which request it answers.
SLOW_NODE = HttpSpec("slow-node", (NODE, "-e", """
require('http').createServer((request, response) => request.resume().on('end',
    () => setTimeout(() => response.end(request.headers['x-marker']), 1500))).listen(process.argv[1], process.argv[2])""",
                                   "{port}", "{host}"), {"command": "* -e *createServer*"}, *[("delete_note", {})] * 3)


class TestTheAgent(HttpEndToEnd):
    def test_start_and_stop_in_the_middle_of_traffic(self):
        for spec in (CPP_HTTP, REUSE_PORT, PYTHON_HTTP):
            with self.case(server=spec.name):
                server = self.server(spec, logged=True)
                with Traffic(server) as traffic:
                    for _ in range(2):
                        traffic.advance("calls without the agent")
                        agent = self.agent({"example": policy(spec.match, denied="delete_note")})
                        traffic.advance("calls with the agent")
                        # New connections are governed from here on, and nothing denied is executed on them.
                        before = sum(caller.count("executed") for caller in traffic.callers if not caller.keep_alive)
                        traffic.advance("governed calls")
                        self.assertEqual(sum(c.count("executed") for c in traffic.callers if not c.keep_alive), before)
                        self.assert_denial(raw_post(server, DENIED_CALL), 1)
                        self.stop_agent(agent)
                        self.assertEqual(raw_post(server, DENIED_CALL).json()["result"]["content"][0]["text"], "done")
                    traffic.advance("calls without the agent again")
                traffic.check()
                traffic.check_received()
                self.assertGreater(traffic.total("denied"), 0)
                self.assertGreater(traffic.total("executed"), 0)

    def test_a_stop_lets_an_exchange_finish(self):
        server = self.server(PYTHON_HTTP)
        agent = self.agent({"allow": policy(PYTHON_HTTP.match)})
        client = self.mcp(server)
        client.connection.send(client.encode(client.call_message("sleep", {"ms": 1500}, identifier="slow")))
        self.assert_judged(agent, "tools/call")
        self.stop_agent(agent)
        response = client.connection.read_response("POST")
        self.assertEqual((response.json()["id"], response.json()["result"]["content"][0]["text"]), ("slow", "slept"))

    def test_nothing_to_do(self):
        agent = self.agent({"p": policy(PYTHON_HTTP.match)})
        self.assertEqual(agent.sessions(), [])
        self.stop_agent(agent)

    def test_where_a_server_listens_is_said(self):
        server = self.server(PYTHON_HTTP)
        agent = self.agent({"p": policy(PYTHON_HTTP.match, denied="delete_note")})
        self.assert_denial(raw_post(server, DENIED_CALL), 1)
        self.assert_judged(agent, "tools/call", "deny")
        address = f"127.0.0.1:{server.port}"
        self.assertRegex(agent.command("status").stdout, rf"(?m)^listener +{address}  notes-http-py  policy p  connections 1$")
        self.assertRegex(agent.command("sessions").stdout, rf"notes-http-py  pid {server.pid}  listen {address}  policy p")
        feed = agent.command("tail", "--no-follow", "-n", "100").stdout
        self.assertRegex(feed, rf"(?m)^\S+  listener_start .* -> notes-http-py at {address}$")
        self.assertRegex(feed, rf"(?m)^\S+  deny .* -> notes-http-py at {address}  c2s  tools/call delete_note")

    def test_a_program_that_no_policy_named(self):
        """It is asked about once, however often it listens; and again when the policies change, or it runs another program."""
        script = """
import http.server, json, os, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": {"content": [{"type": "text", "text": "done"}]}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
print("runs", flush=True)
for line in sys.stdin:
    if line.startswith("become "):
        os.execv(sys.executable, [sys.executable, "-B", "-c", open("/proc/self/cmdline").read().split("\\0")[3], line.split()[1]])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(line)), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("listens", flush=True)
"""
        agent = self.agent({"other": policy({"command": "* another_name*"}, denied="delete_note")})
        process = subprocess.Popen([PYTHON, "-B", "-c", script, "some_name"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdin.close)

        def listen():
            port = free_port()
            process.stdin.write(f"{port}\n")
            self.assertEqual(process.stdout.readline(), "listens\n")
            return types.SimpleNamespace(host="127.0.0.1", port=port, path="/mcp")

        def is_governed(server):
            return "[POLICY DENIED]" in raw_post(server, DENIED_CALL).json()["result"]["content"][0]["text"]
        def become(name):
            process.stdin.write(f"become {name}\n")
            self.assertEqual(process.stdout.readline(), "runs\n")
        self.assertEqual(process.stdout.readline(), "runs\n")
        first = listen()
        self.assertEqual(agent.status()["kernel"]["listens"], 1)
        self.assertFalse(is_governed(listen()))
        self.assertEqual(agent.status()["kernel"]["listens"], 1)
        become("another_name")
        self.assertTrue(is_governed(listen()))
        become("some_name")
        self.assertFalse(is_governed(listen()))
        (agent.config_directory / "policies.d" / "some.json").write_text(json.dumps(policy({"command": "* some_name*"}, denied="delete_note")))
        agent.command("reload")
        self.assertTrue(is_governed(listen()))
        with self.assertRaises(ConnectionRefusedError):
            raw_post(first, DENIED_CALL)

    def test_a_killed_agent_leaves_the_server_reachable(self):
        """What steers connections goes with the agent's last descriptor."""
        server = self.server(CPP_HTTP)
        agent = self.agent({"example": policy(CPP_HTTP.match, denied="delete_note")})
        self.assert_denial(raw_post(server, DENIED_CALL), 1)
        agent.process.kill()
        agent.process.wait()
        self.assertEqual(raw_post(server, DENIED_CALL).json()["result"]["content"][0]["text"], "done")
        wait_for(lambda: not [1 for kind, i in agent.bpf if i in bpf_alive(kind)], "BPF objects gone", seconds=10, interval=0.05)


class TestIdleConnections(HttpEndToEnd):
    """Servers close connections that nobody uses; clients live with that, but not with answers that say so."""
    SPEC = PYTHON_HTTP.with_options("--idle", "0.2", name="python-idle")

    def test_it_ends_for_the_client_too(self):
        server = self.server(self.SPEC)

        def closed():
            client = self.mcp(server)
            self.assert_result(client.call("echo", {"text": "a"}))
            client.connection.wait_closed()
        closed()
        agent = self.agent({"example": policy(self.SPEC.match, denied="delete_note")})
        closed()
        client = self.mcp(server)
        self.assert_denied(client.call("delete_note"))
        client.connection.wait_closed()
        self.stop_agent(agent)

    def test_a_call_at_the_very_moment(self):
        """It is answered, or its connection ends; the next connection serves."""
        server = self.server(self.SPEC)

        def calls():
            answered = ended = 0
            for step in range(60):
                with self.mcp(server, initialize=False) as client:
                    self.assert_result(client.call("echo", {"text": "first"}))
                    time.sleep(0.185 + 0.0005 * step)  # not to wait: around the server's own time
                    try:
                        response = client.post(client.call_message("echo", {"text": "second"}, identifier=step))
                    except (ConnectionError, EOFError):
                        ended += 1
                    else:
                        self.assertEqual(response.status, 200, response)
                        self.assertEqual(response.json()["id"], step)
                        answered += 1
            return answered, ended
        calls()
        agent = self.agent({"allow": policy(self.SPEC.match)})
        print("answered, ended:", calls())
        self.assert_judged(agent, "tools/call", count=60)


class TestEarlierConnections(HttpEndToEnd):
    """Connections from before the agent."""

    def agent_for(self, spec):
        return self.agent({"example": policy(spec.match, denied=spec.denied[0])})

    def test_the_next_request_is_judged(self):
        """The very connection goes on, and the record knows whose it is."""
        for spec in HTTP_SPECS:
            with self.case(server=spec.name):
                server = self.server(spec)
                clients = [self.mcp(server) for _ in range(4)]
                for client in clients:
                    self.assert_result(client.call(*spec.denied))
                agent = self.agent_for(spec)
                for _ in range(2):
                    for client in clients:
                        self.assert_denied(client.call(*spec.denied))
                        self.assert_result(client.call(*spec.allowed))
                records = self.assert_judged(agent, "tools/call", "deny", count=8)
                self.assertEqual({record["peer"]["pid"] for record in records}, {os.getpid()})
                self.assertEqual(agent.status()["http"]["connections_adopted"], 4)
                self.stop_agent(agent)

    def test_a_request_under_way_ends_first(self):
        for spec in (PYTHON_HTTP, CPP_HTTP):
            with self.case(server=spec.name):
                server = self.server(spec)
                client = self.mcp(server)
                message = client.encode(client.call_message(*spec.denied, identifier="cut in two"))
                client.connection.send(message[:-20])
                agent = self.agent_for(spec)
                client.connection.send(message[-20:])
                self.assert_result(client.connection.read_response("POST").json())
                self.assert_denied(client.call(*spec.denied))
                self.assertEqual(agent.status()["http"]["connections_adopted"], 1)
                self.stop_agent(agent)

    def test_an_answer_that_is_due_comes_first(self):
        server = self.server(PYTHON_HTTP)
        client = self.mcp(server)
        client.connection.send(client.encode(client.call_message("sleep", {"ms": 1000}, identifier="slow")))
        self.agent_for(PYTHON_HTTP)
        self.assertEqual(client.connection.read_response("POST").json()["id"], "slow")
        self.assert_denied(client.call(*PYTHON_HTTP.denied))

    def test_nothing_hides_behind_what_is_under_way(self):
        """A call behind the rest of a body, in one write or in pieces."""
        marker = b"hidden-call"
        hidden = make_request("POST", "/mcp", [("Content-Type", "application/json"), ("X-Marker", marker.decode())], DENIED_CALL)
        for spec in (PYTHON_HTTP, CPP_HTTP):
            for pieces in (lambda rest: [rest + hidden], lambda rest: [rest, hidden[:12], hidden[12:]],
                           lambda rest: [rest + hidden[:13], hidden[13:14], hidden[14:]],  # "P", as in "POST"
                           lambda rest: [rest + hidden[:9]] + [hidden[at:at + 1] for at in range(9, 40)] + [hidden[40:]]):
                for attempt in self.attempts(server=spec.name, pieces=[len(piece) for piece in pieces(b"")][:3]):
                    with attempt:
                        server = self.server(spec, logged=True)
                        client = self.mcp(server)
                        message = client.encode(client.call_message(*spec.allowed, identifier="cut in two"))
                        client.connection.send(message[:-20])
                        agent = self.agent_for(spec)
                        with contextlib.suppress(ConnectionError):
                            for piece in pieces(message[-20:]):
                                client.connection.send(piece)
                                time.sleep(0.01)  # so that it is a read of its own
                            client.connection.end()
                        answers = client.connection.read_rest()
                        self.assertNotIn(b'"done"', answers)
                        self.assert_not_received(server, marker)
                        self.stop_agent(agent)

    def test_a_call_that_does_not_wait_for_the_answer_that_is_due(self):
        """A server that reads it later never sees it. Of one that has read it already nobody can say which answer is whose:
        the connection ends."""
        server = self.server(PYTHON_HTTP)
        client = self.mcp(server)
        client.connection.send(client.encode(client.call_message("sleep", {"ms": 1500}, identifier="slow")))
        agent = self.agent_for(PYTHON_HTTP)
        client.connection.send(client.encode(client.call_message("delete_note", identifier="hidden-call")))
        self.assertEqual(client.connection.read_response("POST").json()["id"], "slow")
        self.assert_denial(client.connection.read_response("POST"), "hidden-call")
        self.stop_agent(agent)

        server = self.server(SLOW_NODE)
        connection = self.connect(server)
        connection.send(make_request("POST", "/mcp", [("X-Marker", "first")], DENIED_CALL))
        time.sleep(0.1)  # the kernel's clock has coarse ticks
        agent = self.agent({"example": policy(SLOW_NODE.match, denied="delete_note")})
        connection.send(make_request("POST", "/mcp", [("X-Marker", "hidden-call")], DENIED_CALL))
        self.assertNotIn(b"hidden-call", connection.read_rest())
        agent.wait_audit("connection_cut")


class TestTheServers(HttpEndToEnd):
    def test_restarts_under_load(self):
        """A server that is killed and started again on its port: denied from its first request on, each time."""
        for spec in (CPP_HTTP, PYTHON_HTTP):
            with self.case(server=spec.name):
                server = self.server(spec, logged=True)
                with Traffic(server) as traffic:
                    traffic.advance("calls without the agent")
                    agent = self.agent({"example": policy(spec.match, denied="delete_note")})
                    for caller in traffic.callers:  # the connections of before are not what this test is about
                        caller.keep_alive = False
                    traffic.advance("calls with the agent")
                    executed = traffic.total("executed")
                    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
                        server.stop(number)
                        server.start()
                        traffic.advance(f"calls after {number}")
                    self.assertEqual(traffic.total("executed"), executed)
                traffic.check()
                traffic.check_received()
                self.assertEqual(agent.status()["kernel"]["listen_expired"], 0)
                self.stop_agent(agent)

    def test_two_processes_on_one_port(self):
        server = self.server(REUSE_PORT)
        agent = self.agent({"example": policy(REUSE_PORT.match, denied="delete_note")})

        def answering():
            found = set()
            for _ in range(40):
                with contextlib.suppress(ConnectionError, EOFError):  # to a process that is just ending
                    found.add(self.mcp(server, initialize=False).call("process")["result"]["content"][0]["text"])
            return found
        both = answering()
        self.assertEqual(both, {str(pid) for pid in (server.pid, *descendants(server.pid))})
        self.assert_denial(raw_post(server, DENIED_CALL), 1)
        child = descendants(server.pid)[0]
        os.kill(child, signal.SIGKILL)
        wait_for(lambda: answering() == {str(server.pid)}, "the other process being alone")
        self.assert_denial(raw_post(server, DENIED_CALL), 1)
        server.kill()
        with self.assertRaises(ConnectionRefusedError):
            HttpConnection(server.host, server.port)
        self.stop_agent(agent)

    def test_a_listener_that_children_share(self):
        """The parent listens, its children accept; the listener lives as long as any of them."""
        script = ("import os, signal, sys\n"
                  "sys.argv[:] = ['server.py', '--port', sys.argv[1]]\n"
                  f"sys.path.insert(0, {str(SERVERS / 'python_http')!r})\n"
                  "import server\n"
                  "serve = server.Server.serve_forever\n"
                  "server.Server.serve_forever = lambda self: serve(self) if os.fork() == 0 or os.fork() == 0 else signal.pause()\n"
                  "server.main()\n")
        spec = HttpSpec("prefork", (PYTHON, "-c", script, "{port}", "prefork-server"), {"command": "*prefork-server*"}, ("echo", {"text": "a"}),
                        ("delete_note", {}), ("write_note", {}))
        server = self.server(spec)
        self.assertEqual(raw_post(server, DENIED_CALL).json()["result"]["content"][0]["text"], "done")
        self.agent({"example": policy(spec.match, denied="delete_note")})
        self.assert_denial(raw_post(server, DENIED_CALL), 1)
        children = wait_for(lambda: len(found := descendants(server.pid)) == 2 and found, "two children")
        try:
            server.process.kill()
            server.process.wait()
            self.assert_denial(raw_post(server, DENIED_CALL), 1)
            os.kill(children[0], signal.SIGKILL)
            self.assert_denial(raw_post(server, DENIED_CALL), 1)
        finally:
            for child in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)

        def refused():
            with contextlib.suppress(ConnectionRefusedError), HttpConnection(server.host, server.port):
                return False
            return True
        wait_for(refused, "the port being closed")

    def test_the_next_program_on_the_port_is_not_governed(self):
        port = free_port()
        agent = self.agent({"example": policy(CPP_HTTP.match, default="deny")})
        for _ in range(5):
            server = self.server(CPP_HTTP, port=port)
            self.assert_denial(raw_post(server, DENIED_CALL), 1)
            server.kill()
            other = self.server(PYTHON_HTTP, port=port)  # which no policy names
            self.assertEqual(raw_post(other, DENIED_CALL).json()["result"]["content"][0]["text"], "done")
            other.kill()
        self.assertEqual(agent.sessions(), [])


if __name__ == "__main__":
    main()
