"""Where servers listen and where clients come from: IPv4, IPv6, both, every address, other network namespaces; and what
server and audit record learn of the client."""
import contextlib
import subprocess

from governed_http import *  # noqa: F403
from governed_http import (CPP_HTTP, LIMITED, PYTHON, PYTHON_HTTP, HttpEndToEnd, NetworkPair, free_port, json, main, make_request, os,
                           policy, wait_for)
from traffic import raw_post

DENIED_CALL = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "delete_note", "arguments": {}}}).encode()
NOBODY = 65534


class Addresses(HttpEndToEnd):
    def reach(self, server, hosts, namespace=None):
        """The denied call by each way, from a network namespace or this one; {host: denied?}"""
        found = {}
        for host in hosts:
            server.host = host
            with namespace.entered() if namespace else contextlib.nullcontext():
                answer = raw_post(server, DENIED_CALL).json()
            found[host] = "io.callgate/decision" in json.dumps(answer)
            if not found[host]:
                self.assertEqual(answer["result"]["content"][0]["text"], "done")
        return found


class TestLoopback(Addresses):
    BOUND = {"127.0.0.1": ["127.0.0.1"], "127.0.0.2": ["127.0.0.2"], "0.0.0.0": ["127.0.0.1", "127.0.0.3"], "::1": ["::1"],
             "::": ["127.0.0.1", "127.0.0.3", "::1"]}

    def test_every_way_to_listen(self):
        for spec in (CPP_HTTP, PYTHON_HTTP):
            for bound, hosts in self.BOUND.items():
                for first in ("server", "agent"):
                    with self.case(server=spec.name, bound=bound, first=first):
                        agent = None
                        rules = {"example": policy(spec.match, denied="delete_note")}
                        if first == "agent":
                            agent = self.agent(rules)
                        server = self.server(spec, host=bound)
                        if not agent:
                            self.assertEqual(set(self.reach(server, hosts).values()), {False})
                            agent = self.agent(rules)
                        self.assertEqual(self.reach(server, hosts), dict.fromkeys(hosts, True))
                        server.host = hosts[-1]
                        self.assert_result(self.mcp(server).call("echo", {"text": "a"}))
                        self.stop_agent(agent)

    def test_two_servers_of_one_port(self):
        """One governed, one not, on the same port of two addresses."""
        port = free_port()
        first, second = self.server(CPP_HTTP, host="127.0.0.1", port=port), self.server(PYTHON_HTTP, host="127.0.0.2", port=port)
        self.agent({"example": policy(CPP_HTTP.match, denied="delete_note")})
        self.assertEqual(self.reach(first, ["127.0.0.1"]), {"127.0.0.1": True})
        self.assertEqual(self.reach(second, ["127.0.0.2"]), {"127.0.0.2": False})

    def test_the_policies_address(self):
        """`listen` names what the server listens on."""
        for bound, named, host in (("127.0.0.1", "127.0.0.1:{}", "127.0.0.1"), ("::1", "[::1]:{}", "::1"), ("0.0.0.0", "0.0.0.0:{}", "127.0.0.1"),
                                   ("::", "[::]:{}", "127.0.0.1")):
            with self.case(bound=bound):
                server = self.server(CPP_HTTP, host=bound)
                self.assertEqual(self.reach(server, [host]), {host: False})
                agent = self.agent({"example": policy({"listen": named.format(server.port)}, denied="delete_note")})
                self.assertEqual(self.reach(server, [host]), {host: True})
                self.stop_agent(agent)


class TestNamespaces(Addresses):
    def test_a_remote_client(self):
        """Server and client in two network namespaces; the agent in a third, the host's."""
        pair = NetworkPair()
        self.addCleanup(pair.remove)
        for spec in (CPP_HTTP, PYTHON_HTTP):
            for bound, hosts in (("10.77.0.1", ["10.77.0.1"]), ("0.0.0.0", ["10.77.0.1"]), ("::", ["10.77.0.1", "fd77::1"]), ("fd77::1", ["fd77::1"])):
                for first in ("server", "agent"):
                    with self.case(server=spec.name, bound=bound, first=first):
                        rules = {"example": policy(spec.match, denied="delete_note")}
                        agent = self.agent(rules) if first == "agent" else None
                        server = self.server(spec, host=bound, reach=hosts[0], prefix=pair.server.prefix)
                        if not agent:
                            self.assertEqual(set(self.reach(server, hosts, pair.client).values()), {False})
                            agent = self.agent(rules)
                        self.assertEqual(self.reach(server, hosts, pair.client), dict.fromkeys(hosts, True))
                        record = self.assert_judged(agent, "tools/call", "deny", count=len(hosts))[-1]
                        self.assertEqual(record["peer"]["pid"], os.getpid())  # another namespace, but the same host
                        self.assertIn(pair.ADDRESSES["client"][":" in hosts[-1]], json.dumps(record["peer"]))
                        self.stop_agent(agent)

    def test_two_namespaces_with_the_same_address(self):
        """Each namespace has its own loopback; the policy names the one by what runs there."""
        pair = NetworkPair()
        self.addCleanup(pair.remove)
        port, host = free_port(), "127.0.0.1"
        governed = self.server(CPP_HTTP, port=port, prefix=pair.server.prefix)
        other = self.server(PYTHON_HTTP, port=port, prefix=pair.client.prefix)
        at_home = self.server(CPP_HTTP, port=port)
        self.assertEqual(self.reach(governed, [host], pair.server), {host: False})
        agent = self.agent({"example": policy(CPP_HTTP.match, denied="delete_note")})
        self.assertEqual(self.reach(governed, [host], pair.server), {host: True})
        self.assertEqual(self.reach(other, [host], pair.client), {host: False})
        self.assertEqual(self.reach(at_home, [host]), {host: True})
        self.assert_judged(agent, "tools/call", "deny", count=2)

    def test_a_namespace_that_goes(self):
        """Its servers end, and the agent keeps nothing of it: it could not be freed else."""
        pair = NetworkPair()
        self.addCleanup(pair.remove)
        agent = self.agent({"example": policy(CPP_HTTP.match, denied="delete_note")})
        inode = os.stat(f"/run/netns/{pair.server.name}").st_ino
        server = self.server(CPP_HTTP, host="10.77.0.1", prefix=pair.server.prefix)
        self.assertEqual(self.reach(server, ["10.77.0.1"], pair.client), {"10.77.0.1": True})
        server.kill()
        pair.remove()

        def held():
            listing = subprocess.run(["lsns", "-t", "net", "-n", "-o", "NS"], capture_output=True, text=True, check=True).stdout
            return str(inode) in listing.split() or str(inode) in namespaces_of(agent.pid)
        wait_for(lambda: not held(), "the namespace being free", seconds=10, interval=0.05)
        self.assert_denial(raw_post(self.server(CPP_HTTP), DENIED_CALL), 1)


def namespaces_of(pid):
    """Network namespaces that a process keeps alive: open descriptors of them, and its threads' own."""
    found = set()
    for path in [f"/proc/{pid}/fd/{fd}" for fd in os.listdir(f"/proc/{pid}/fd")] + \
                [f"/proc/{pid}/task/{task}/ns/net" for task in os.listdir(f"/proc/{pid}/task")]:
        with contextlib.suppress(OSError):
            link = os.readlink(path)
            if link.startswith("net:["):
                found.add(link[5:-1])
    return found


class TestPeers(Addresses):
    CALL = ("import socket, sys\nwith socket.create_connection((sys.argv[1], int(sys.argv[2]))) as s:\n"
            "    s.sendall(sys.stdin.buffer.read())\n    sys.stdout.buffer.write(s.recv(65536))\n    sys.stdout.flush()\n    sys.stdin.close()\n")

    def test_who_called(self):
        """The record of a call over loopback has the process that connected: pid, user, program."""
        for bound, host in (("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1"), ("::", "::1")):
            with self.case(bound=bound, host=host):
                server = self.server(PYTHON_HTTP, host=bound, reach=host)
                self.assert_result(self.mcp(server).call("delete_note"))
                agent = self.agent({"example": policy(PYTHON_HTTP.match, denied="delete_note")})
                self.assert_denied(self.mcp(server).call("delete_note"))
                peer = self.assert_judged(agent, "tools/call", "deny")[0]["peer"]
                self.assertEqual((peer["pid"], peer["uid"], peer["exe"]), (os.getpid(), os.getuid(), os.path.realpath("/proc/self/exe")))
                self.stop_agent(agent)

    def test_two_namespaces_with_the_same_addresses(self):
        """The same four numbers at once in two namespaces: each record has its own process."""
        pair = NetworkPair()
        self.addCleanup(pair.remove)
        port, source = free_port(), free_port()
        for namespace in (pair.server, pair.client):
            self.server(CPP_HTTP, port=port, prefix=namespace.prefix)
        agent = self.agent({"example": policy(CPP_HTTP.match, denied="delete_note")})
        script = ("import socket, sys\n"
                  "s = socket.create_connection(('127.0.0.1', int(sys.argv[1])), 20, ('127.0.0.1', int(sys.argv[2])))\n"
                  "print('connected', flush=True)\n"
                  "s.sendall(sys.stdin.buffer.read())\n"
                  "sys.stdout.buffer.write(s.recv(65536))\n")
        request = make_request("POST", "/mcp", [("Content-Type", "application/json")], DENIED_CALL)
        clients = []
        for namespace in (pair.server, pair.client):
            client = subprocess.Popen([*namespace.prefix, PYTHON, "-c", script, str(port), str(source)], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE)
            self.addCleanup(client.wait)
            self.addCleanup(client.kill)
            self.assertEqual(client.stdout.readline(), b"connected\n")
            clients.append(client)
        for number, client in enumerate(clients, 1):
            answer, _ = client.communicate(request, timeout=20)
            self.assertIn(b"io.callgate/decision", answer)
            records = self.assert_judged(agent, "tools/call", "deny", count=number)
            self.assertEqual(records[-1]["peer"]["pid"], client.pid)

    def test_other_users(self):
        """Each user has limits of its own: the grant is who connected, not who the server is."""
        server = self.server(PYTHON_HTTP)
        agent = self.agent({"example": policy(PYTHON_HTTP.match, limited="write_note")})
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "write_note", "arguments": {}}}).encode()
        request = make_request("POST", "/mcp", [("Content-Type", "application/json")], body)
        for uid in (0, NOBODY):
            answers = []
            for _ in range(3):
                done = subprocess.run(["/usr/bin/python3", "-c", self.CALL, server.host, str(server.port)], input=request, capture_output=True,
                                      check=True, user=uid, cwd="/")
                answers.append(json.loads(done.stdout.split(b"\r\n\r\n", 1)[1]))
            for answer in answers[:2]:
                self.assert_result(answer)
            self.assert_denied(answers[2], code=LIMITED)
        records = agent.wait_audit("message", count=6, direction="c2s", method="tools/call")
        self.assertEqual([r["peer"]["uid"] for r in records], [0] * 3 + [NOBODY] * 3)
        self.assertEqual({r["peer"]["exe"] for r in records}, {os.path.realpath("/usr/bin/python3")})
        self.assertEqual(len({r["peer"]["pid"] for r in records}), 6)

    def test_what_the_server_sees(self):
        """Of a local client: its own address again. The port is the agent's."""
        server = self.server(PYTHON_HTTP, host="::", reach="127.0.0.1")

        def peer():
            client = self.mcp(server)
            seen = json.loads(client.call("request_head")["result"]["content"][0]["text"])["peer"]
            return seen[0], seen[1] == client.connection.local_port
        self.assertEqual(peer(), ("::ffff:127.0.0.1", True))
        agent = self.agent({"allow": policy(PYTHON_HTTP.match)})
        self.assertEqual(peer(), ("::ffff:127.0.0.1", False))
        self.assert_judged(agent, "tools/call")


if __name__ == "__main__":
    main()
