"""Planned restarts while clients are connected over HTTP: every connection and every stream goes on in the next agent."""
import signal
import subprocess
import threading

from governed_http import *  # noqa: F403
from governed_http import (CPP_HTTP, EVERYTHING_SSE, FAULTS, LONG, PYTHON, PYTHON_HTTP, PYTHON_HTTP_SSE, HttpEndToEnd, HttpSpec, SdkHttpClient, cpp_server, json, main,
                           Path, make_request, os, policy, time, wait_for)
from test_http_handed_over import ACTIVATOR, INETD, SERVER, Handed
from test_http_lifecycle import DENIED_CALL
from traffic import Traffic

RESTARTS = 3

# Sends what it is told to, and says nothing of its own: POST /a body -> the response is whatever the file that it is given grows by.
SCRIPTED = HttpSpec("scripted", (PYTHON, "-B", "-c", """
import os, socketserver, sys, time
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while self.rfile.readline().strip():
            pass
        with open(sys.argv[3], "rb") as script:
            while True:
                piece = script.read()
                if piece == b"END": return
                self.wfile.write(piece)
                time.sleep(0.005)  # looks again
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
Server((sys.argv[2], int(sys.argv[1])), Handler).serve_forever()  # scripted_answers
""", "{port}", "{host}"), {"command": "*scripted_answers*"}, *[("delete_note", {})] * 3)

LINES = HttpSpec("lines", (PYTHON, "-B", "-c", """
import json, socketserver, sys, time
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            message = json.loads(line)
            if message["params"].get("arguments", {}).get("ms"): time.sleep(message["params"]["arguments"]["ms"] / 1000)
            result = {"content": [{"type": "text", "text": "done"}]}
            self.wfile.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode() + b"\\n")
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
Server((sys.argv[2], int(sys.argv[1])), Handler).serve_forever()  # serves_lines
""", "{port}", "{host}"), {"command": "*serves_lines*"}, *[("delete_note", {})] * 3)

ECHOING = HttpSpec("echoing", (PYTHON, "-B", "-c", """
import socketserver, sys
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"220 what do you want\\r\\n")
        while read := self.request.recv(65536):
            self.request.sendall(read)
        self.request.sendall(b"bye")
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
Server((sys.argv[2], int(sys.argv[1])), Handler).serve_forever()  # echoes_what_it_reads
""", "{port}", "{host}"), {"command": "*echoes_what_it_reads*"}, *[("delete_note", {})] * 3)


class GoesOn(HttpEndToEnd):
    def kept(self, spec, **more):
        return self.agent({"example": policy(spec.match, denied="delete_note", **more)}, keeper=True)

    def assert_nothing_was_cut(self, agent):
        self.assertEqual(agent.audit("connection_cut"), [])
        self.assertEqual(agent.audit("session_lost"), [])
        self.assertEqual(agent.status()["http"]["connections_cut_at_restart"], 0)


class TestConnections(GoesOn):
    def test_idle_ones(self):
        """The very connection, and its session: limits go on, and the record knows whose it is."""
        server = self.server(PYTHON_HTTP, logged=True)
        agent = self.agent({"example": policy(PYTHON_HTTP.match, denied="delete_note")}, keeper=True)
        clients = [self.mcp(server) for _ in range(40)]
        for _ in range(RESTARTS):
            agent.restart()
            self.assertEqual(agent.status()["http"]["connections_resumed"], len(clients))
            for number, client in enumerate(clients):
                self.assert_denied(client.call("delete_note"))
                self.assertEqual(client.call("echo", {"text": f"{number}"})["result"]["content"][0]["text"], f"{number}")
        records = self.assert_judged(agent, "tools/call", "deny", count=RESTARTS * len(clients))
        self.assertEqual({record["peer"]["pid"] for record in records}, {os.getpid()})
        self.assertEqual(len({record["session"] for record in records}), len(clients))
        self.assertEqual(len(agent.audit("session_start")), len(clients))
        self.assertEqual(len(agent.audit("session_resumed")), RESTARTS * len(clients))
        self.assertEqual(agent.audit("session_end"), [])
        self.assertEqual(agent.status()["http"]["connections_adopted"], 0)
        self.assert_not_received(server, b'"delete_note"')
        self.assert_nothing_was_cut(agent)

    def test_an_agent_that_cannot_start_after_all(self):
        """It sees that when it has the connections already: they end, a session goes back, and the keeper is told why."""
        os.environ["CALLGATE_SLOW_STEP"] = "programs to be loaded 500000"
        self.addCleanup(os.environ.pop, "CALLGATE_SLOW_STEP")
        server, stdio = self.server(PYTHON_HTTP), cpp_server("--readv")
        agent = self.agent({"example": policy(PYTHON_HTTP.match, denied="delete_note"), "stdio": policy(stdio.match, fail="open")}, keeper=True,
                           binary=FAULTS)
        client = self.client(stdio.command)
        client.initialize()
        connected = self.mcp(server)
        self.assert_denied(connected.call("delete_note"))
        # What the agent before has looked at is good, and what the next one finds is not.
        cgroup = self.directory() / "cgroup"
        cgroup.symlink_to(next(line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if line.split()[2] == "cgroup2"))
        path = agent.config_directory / "callgate.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "scope": {"cgroups": [str(cgroup)]}}))
        asking = subprocess.Popen([str(agent.binary), "restart", "--control", str(agent.control_path)], stderr=subprocess.DEVNULL)
        self.addCleanup(asking.wait)
        self.addCleanup(asking.kill)
        wait_for(lambda: agent.audit("session_resumed"), "the next agent", interval=0.001)
        cgroup.unlink()
        cgroup.symlink_to("/proc")
        self.assertEqual(agent.process.wait(20), 78, agent.log())
        self.assertIn(f"cgroup {cgroup}", agent.log())
        self.assertNotIn("another starts", agent.log())
        self.assertEqual(agent.wait_audit("session_end", transport="stdio")[0]["reason"], "handed back: no agent could go on with it")
        self.assertEqual(len(agent.wait_audit("session_end", transport="http")), 1)
        self.assert_result(client.call(*stdio.denied))
        self.assertEqual(client.shutdown(), stdio.exit_code)

    def test_a_request_in_pieces(self):
        """Its head or its body has begun when the agent goes."""
        server = self.server(CPP_HTTP, logged=True)
        agent = self.kept(CPP_HTTP)
        request = make_request("POST", "/mcp", [("Content-Type", "application/json")], DENIED_CALL)
        body = request.index(b"\r\n\r\n") + 4
        connections = {at: self.connect(server) for at in (1, 3, 20, body - 1, body, body + 1, body + 30, len(request) - 1)}
        for at, connection in connections.items():
            connection.send(request[:at])
        agent.restart()
        for at, connection in connections.items():
            with self.subTest(at=at):
                connection.send(request[at:])
                self.assert_denial(connection.read_response("POST"), 1)
        self.assert_not_received(server, b'"delete_note"')
        self.assert_nothing_was_cut(agent)

    def test_an_answer_under_way(self):
        """It comes, once, and is known for what it answers."""
        for spec in (PYTHON_HTTP, PYTHON_HTTP_SSE):
            with self.case(server=spec.name):
                server = self.server(spec, logged=True)
                agent = self.kept(spec)
                clients = [self.mcp(server) for _ in range(8)]
                for number, client in enumerate(clients):
                    client.connection.send(client.encode(client.call_message("sleep", {"ms": 2500}, identifier=f"slow{number}")))
                asked = self.assert_judged(agent, "tools/call", count=len(clients))
                agent.restart()
                for number, client in enumerate(clients):
                    answer = client.connection.read_response("POST").json()
                    self.assertEqual((answer["id"], answer["result"]["content"][0]["text"]), (f"slow{number}", "slept"))
                for record in asked:
                    self.assertEqual(len(agent.wait_audit("message", direction="s2c", answers=record["id"])), 1)
                self.assertEqual(server.received().count(b'"sleep"'), len(clients))
                self.assert_nothing_was_cut(agent)
                self.stop_agent(agent)

    def test_an_answer_at_any_byte(self):
        """Each agent sees a piece of it; the client gets the bytes that it would have got."""
        hidden = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "secret"}, {"name": "echo"}]}}).encode()
        events = b"event: message\ndata: " + hidden + b"\n\n: a comment\n\nid: 7\ndata:\n\n"
        chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(events), events)
        answers = {"length": (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(hidden), hidden)),
                   "events": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
                   "foreign": b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks}
        script = self.directory() / "script"
        script.touch()
        spec = SCRIPTED.with_options(str(script))
        for name, whole in answers.items():
            with self.case(name=name):
                script.write_bytes(b"")
                server = self.server(spec)
                agent = self.agent({"example": policy(spec.match, hide=["secret"])}, keeper=True)
                connection = self.connect(server)
                if name == "foreign":
                    connection.send(make_request("GET", "/file"))
                else:
                    listing = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()
                    connection.send(make_request("POST", "/mcp", [("Content-Type", "application/json")], listing))
                places = [0, 9, whole.index(b"\r\n\r\n") + 2, whole.index(b"\r\n\r\n") + 6, len(whole) - 20, len(whole) - 3, len(whole)]
                for begin, end in zip(places, places[1:]):
                    with open(script, "ab") as more:
                        more.write(whole[begin:end])
                    time.sleep(0.05)  # so that it has come to the agent
                    agent.restart()
                response = connection.read_response("GET" if name == "foreign" else "POST")
                if name == "foreign":
                    self.assertEqual(response.body, events)
                else:
                    self.assertEqual([tool["name"] for tool in response.json()["result"]["tools"]], ["echo"])
                self.assert_nothing_was_cut(agent)
                with open(script, "ab") as more:
                    more.write(b"END")
                self.stop_agent(agent)

    def test_who_ends_meanwhile(self):
        """An end that the agent before was not there to see is seen."""
        server = self.server(PYTHON_HTTP)
        agent = self.kept(PYTHON_HTTP)
        leaves, stays = self.mcp(server), self.mcp(server)
        stream = stays.open_stream()
        self.addCleanup(stream.connection.close)
        os.kill(agent.pid, signal.SIGSTOP)
        restarting = threading.Thread(target=agent.restart)
        restarting.start()
        leaves.close()
        server.kill()
        os.kill(agent.pid, signal.SIGCONT)
        restarting.join(60)
        self.assertIsNone(stream.next())
        stays.connection.wait_closed()
        wait_for(lambda: agent.status()["http"]["connections"] == 0, "no connection being left")

    def test_nobody_takes_them(self):
        """The keeper does not answer: they go on in the agent that there is, which stops as on a SIGTERM, and another one starts."""
        server = self.server(PYTHON_HTTP)
        agent = self.kept(PYTHON_HTTP)
        client = self.mcp(server)
        client.connection.send(client.encode(client.call_message("sleep", {"ms": 8000}, identifier="slow")))
        self.assert_judged(agent, "tools/call")
        agent.process.send_signal(signal.SIGSTOP)
        asking = subprocess.Popen([agent.binary, "restart", "--control", agent.control_path], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(asking.wait)
        self.addCleanup(asking.kill)
        answer = client.connection.read_response("POST").json()
        self.assertEqual((answer["id"], answer["result"]["content"][0]["text"]), ("slow", "slept"))
        client.connection.wait_closed()
        agent.process.send_signal(signal.SIGCONT)
        agent.wait_ready()
        self.assertIn("sessions cannot be kept", agent.log())
        self.assertIn("the agent ended with 70", agent.log())
        self.assertEqual([end["reason"] for end in agent.audit("session_end")], ["the agent stops"])
        self.assert_denied(self.mcp(server).call("delete_note"))

    def test_under_load(self):
        """Calls in flight at each restart: none fails, none is doubled, none that is denied gets to the server."""
        restarts = 100 if LONG else 6
        for spec in (CPP_HTTP, PYTHON_HTTP):
            with self.case(server=spec.name):
                server = self.server(spec, logged=True)
                agent = self.kept(spec)
                with Traffic(server, keep_alive=48, fresh=0) as traffic:
                    traffic.advance("calls", calls=4)
                    for _ in range(restarts):
                        agent.restart()
                        traffic.advance("calls", calls=4)
                traffic.check()
                self.assertEqual(traffic.total("executed"), 0)
                self.assertEqual(sum(caller.again for caller in traffic.callers), 0)
                traffic.check_received()
                self.assert_not_received(server, b'"delete_note"')
                self.assert_nothing_was_cut(agent)
                # Of each client the waits that a restart may have made.
                waits = sorted(wait for caller in traffic.callers for wait in sorted(caller.waits)[-restarts:])
                print(f"{spec.name}: {restarts} restarts, {traffic.total('allowed')} calls allowed, {traffic.total('denied')} denied; the longest "
                      f"{len(waits)} took {waits[len(waits) // 2] * 1000:.0f} ms (median), {waits[len(waits) * 99 // 100] * 1000:.0f} ms (99 in 100)")
                self.stop_agent(agent)

    def test_others_are_served_too(self):
        """New connections wait for the next agent while those that are there go on."""
        server = self.server(CPP_HTTP, logged=True)
        agent = self.kept(CPP_HTTP)
        with Traffic(server, keep_alive=8, fresh=8) as traffic:
            for _ in range(RESTARTS):
                traffic.advance("calls")
                agent.restart()
            traffic.advance("calls again")
        traffic.check()
        traffic.check_received()
        self.assertEqual((traffic.total("executed"), sum(caller.again for caller in traffic.callers)), (0, 0))
        self.assert_nothing_was_cut(agent)

    def test_a_call_that_waits_for_room(self):
        """One that is in flight holds its place; the one behind it waits on in the next agent."""
        server = self.server(PYTHON_HTTP)
        rules = policy(PYTHON_HTTP.match)
        rules["default"] = "deny"
        rules["tools"] = {"sleep": {"limits": [{"counter": "c", "max_in_flight": 1, "on_exceed": "delay", "max_delay_ms": 60000}]}}
        agent = self.agent({"example": rules}, keeper=True)
        clients = [self.mcp(server) for _ in range(3)]
        for number, client in enumerate(clients):
            client.connection.send(client.encode(client.call_message("sleep", {"ms": 2000}, identifier=number)))
        time.sleep(0.2)  # so that all have come
        agent.restart()
        for number, client in enumerate(clients):
            answer = client.connection.read_response("POST").json()
            self.assertEqual((answer["id"], answer["result"]["content"][0]["text"]), (number, "slept"))
        self.assert_nothing_was_cut(agent)


    def test_calls_over_both_transports_wait_in_one_line(self):
        """Who came first is let through first by the next agent, too: over HTTP before one on stdio that came later."""
        limit = {"counter": "c", "max_in_flight": 1, "on_exceed": "delay", "max_delay_ms": 60000, "scope": "host"}
        server, on_stdio = self.server(PYTHON_HTTP), cpp_server("--threads", "2")
        agent = self.agent({name: policy(match, tools={"sleep": {"limits": [limit]}})
                            for name, match in (("example", PYTHON_HTTP.match), ("other", on_stdio.match))}, keeper=True)
        in_flight, first = self.mcp(server), self.mcp(server)
        last = self.client(on_stdio.command)
        last.initialize()
        for number, (client, ms) in enumerate(((in_flight, 3000), (first, 700))):
            client.connection.send(client.encode(client.call_message("sleep", {"ms": ms}, identifier=number)))
            wait_for(lambda: agent.status()["counters"]["waiting"] == number, "its place", interval=0.02)
        asked = last.post("tools/call", {"name": "sleep", "arguments": {"ms": 1}})
        wait_for(lambda: agent.status()["counters"]["waiting"] == 2, "both waiting")
        agent.restart()
        self.assert_result(last.answer(asked))
        for client in (in_flight, first):
            self.assertEqual(client.connection.read_response("POST").json()["result"]["content"][0]["text"], "slept")
        calls = agent.wait_audit("message", count=3, direction="c2s", tool="sleep", decision="allow")
        self.assertEqual([record["transport"] for record in calls], ["http", "http", "stdio"])
        self.assertEqual(last.shutdown(), 0)


class TestStreams(GoesOn):
    def test_of_the_sdk(self):
        """Its stream from the server is opened once, and what is said there after restarts comes; so does what it had asked."""
        for sdk in ("v1", "v2"):
            with self.case(sdk=sdk):
                server = self.server(PYTHON_HTTP, logged=True)
                agent = self.kept(PYTHON_HTTP)

                def call(name, **arguments):
                    return {"call": {"name": name, "arguments": arguments}}
                steps = [call("echo", text="before"), {"wait": True}]
                for number in range(RESTARTS):
                    steps += [call("sleep", ms=2000), call("announce", number=number), call("delete_note"), {"wait": True}]
                client = SdkHttpClient(server.url, steps, sdk=sdk, notifications=True, stderr=self._stderr)
                self.addCleanup(client.kill)
                self.assertIn("connected", client.event())
                self.assertEqual(client.event()["result"]["content"][0]["text"], "before")
                wait_for(lambda: b"GET /mcp" in server.received(), "the stream")
                for number in range(RESTARTS):
                    before = len(agent.audit("message", tool="sleep"))
                    client.go_on()
                    wait_for(lambda: len(agent.audit("message", tool="sleep")) > before, "the call being in hand")
                    agent.restart()
                    said = [client.event() for _ in range(5)]  # that it has waited, among them
                    results = [event["result"]["content"][0]["text"] for event in said if event.get("result")]
                    self.assertEqual(results[:2], ["slept", "announced"])
                    self.assertTrue(results[2].startswith("[POLICY DENIED]"), results)
                    self.assertEqual([event["notified"]["params"]["data"] for event in said if "notified" in event], [{"number": number}])
                client.go_on()
                self.assertTrue(client.finish()[-1]["closed"])
                self.assertEqual(server.received().count(b"GET /mcp"), 1)
                self.assertEqual(server.received().count(b'"sleep"'), RESTARTS)
                self.assert_not_received(server, b'"delete_note"')
                self.assert_nothing_was_cut(agent)
                self.stop_agent(agent)

    def test_many_that_are_quiet(self):
        server = self.server(PYTHON_HTTP)
        agent = self.kept(PYTHON_HTTP)
        clients = [self.mcp(server) for _ in range(30)]
        streams = [client.open_stream() for client in clients]
        for stream in streams:
            self.addCleanup(stream.connection.close)
        for number in range(RESTARTS):
            agent.restart()
            for client, stream in zip(clients, streams):
                client.call("announce", {"number": number})
                self.assertEqual(stream.next().json()["params"]["data"], {"number": number})
                self.assert_denied(client.call("delete_note"))
        self.assert_nothing_was_cut(agent)

    def test_of_the_older_transport(self):
        """Denials come on the stream that was opened before."""
        server = self.server(EVERYTHING_SSE)
        agent = self.agent({"example": policy(EVERYTHING_SSE.match, denied="get-env")}, keeper=True)
        client = self.sse(server)
        for _ in range(RESTARTS):
            agent.restart()
            self.assert_denied(client.call("get-env"))
            self.assert_result(client.call(*EVERYTHING_SSE.allowed))
        calls = self.assert_judged(agent, "tools/call", "deny", count=RESTARTS)
        self.assertEqual(len({record["session"] for record in calls}), 1)
        self.assert_nothing_was_cut(agent)


class TestOtherTraffic(GoesOn):
    def test_lines_over_tcp(self):
        """With a call in hand, and half of the next one."""
        server = self.server(LINES)
        agent = self.kept(LINES)
        connection = self.connect(server)

        def line(identifier, tool, **arguments):
            return json.dumps({"jsonrpc": "2.0", "id": identifier, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}).encode() + b"\n"

        def answer():
            return json.loads(connection._until(b"\n"))
        connection.send(line(0, "echo"))
        self.assertEqual(answer()["result"]["content"][0]["text"], "done")
        for number in range(RESTARTS):
            denied = line(f"denied{number}", "delete_note")
            connection.send(line(number, "sleep", ms=2000) + denied[:40])
            self.assert_judged(agent, "tools/call", count=number + 2)
            agent.restart()
            connection.send(denied[40:])
            answers = {each["id"]: each for each in (answer(), answer())}
            self.assertEqual(answers[number]["result"]["content"][0]["text"], "done")
            self.assert_denied(answers[f"denied{number}"])
        self.assert_nothing_was_cut(agent)

    def test_a_tunnel(self):
        server = self.server(ECHOING)
        agent = self.kept(ECHOING)
        connection = self.connect(server)
        self.assertEqual(connection._until(b"\r\n"), b"220 what do you want\r\n")
        for number in range(RESTARTS):
            agent.restart()
            connection.send(b"%d\r\n" % number)
            self.assertEqual(connection._until(b"\r\n"), b"%d\r\n" % number)
        connection.end()
        self.assertEqual(connection.read_rest(), b"bye")
        self.assert_nothing_was_cut(agent)


class TestTakenOver(Handed):
    """Connections that were taken over behind the server's descriptor."""

    def check(self, agent, where, kind):
        connection = self.reach(where)
        self.assert_governed(connection)
        for number in range(RESTARTS):
            agent.restart()
            self.assert_governed(connection, denied=number)
        self.assertEqual(agent.status()["http"]["connections_resumed"], 1)
        self.assertEqual(agent.audit("connection_cut"), [])
        self.assertEqual([session["transport"] for session in agent.sessions()], ["http"], kind)
        self.stop_agent(agent)

    def test_of_inetd(self):
        """It is the server's standard input, and no session on stdio begins there."""
        for kind in ("tcp", "unix"):
            with self.case(kind=kind):
                agent = self.agent({"example": policy({"command": "* connection 0*"}, denied="delete_note")}, keeper=True)
                where = self.where(kind)
                self.start("-c", INETD, where, SERVER, "LOG")
                self.check(agent, where, kind)

    def test_on_af_unix(self):
        agent = self.agent({"example": policy({"command": "* listener 3*"}, denied="delete_note")}, keeper=True)
        where = self.where("unix")
        self.start("-c", ACTIVATOR, where, "itself", SERVER, "LOG")
        self.check(agent, where, "unix")


if __name__ == "__main__":
    main()
