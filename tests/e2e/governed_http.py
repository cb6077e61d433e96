"""What the tests of the HTTP gate share: servers and clients that end with the test, and what an answer must look like.

Each test first does without the agent what it then does with it. A denial is known by the agent's own decision in it
(assert_denied_result), which no server of these tests can write; where everything is allowed, the audit feed must show that
it was judged (assert_judged). So no test can pass without the agent.
"""
import json
import re

from governed import *  # noqa: F403
from governed import (DENIED, LIMITED, EndToEnd, HttpConnection, HttpServer, McpHttp, SdkHttpClient, SseClient, policy,
                      policy_for)  # noqa: F401

UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b")
# Fields that say how the bytes are cut up, not what they are: a judged exchange may be framed differently.
FRAMING = {"content-length", "transfer-encoding", "connection", "keep-alive"}


def comparable(response, *, framing=False):
    """A response without what changes from one run to the next and, unless `framing`, without how it was cut up."""
    status, fields, body = response.comparable()
    kept = [(name, value) for name, value in fields if framing or name.lower() not in FRAMING]
    return status, kept, UUID.sub(b"UUID", body)


class HttpEndToEnd(EndToEnd):
    def server(self, spec, *, logged=False, **options):
        log = self.directory() / "received" if logged else None
        if log:
            log.touch()
        server = HttpServer(spec, log=log, stderr=self._stderr, **options)
        self.addCleanup(server.kill)
        return server

    def mcp(self, server, *, initialize=True, **options):
        client = McpHttp(server, **options)
        self.addCleanup(client.close)
        if initialize:
            client.initialize()
        return client

    def sse(self, server, **options):
        client = SseClient(server, **options)
        self.addCleanup(client.close)
        client.initialize()
        return client

    def connect(self, server, **options):
        connection = HttpConnection(server.host, server.port, **options)
        self.addCleanup(connection.close)
        return connection

    def sdk_http(self, server, steps, **options):
        """The events of a whole SDK client, from its connection to its end."""
        client = SdkHttpClient(server.url, steps, stderr=self._stderr, **options)
        self.addCleanup(client.kill)
        return client.finish()

    # -- checks
    def assert_denial(self, response, identifier, **expected):
        """An HTTP response that denies the tools/call `identifier`; returns the decision."""
        self.assertEqual(response.status, 200, response.body)
        self.assertEqual((response.field("Content-Type") or "").split(";")[0].strip(), "application/json")
        self.assertIsNone(response.field("Transfer-Encoding"))
        self.assertEqual(int(response.field("Content-Length")), len(response.body))
        answer = json.loads(response.body)
        self.assertEqual((type(answer["id"]), answer["id"]), (type(identifier), identifier))
        return self.assert_denied(answer, **expected)

    def assert_judged(self, agent, method, decision="allow", count=1, **more):
        """The agent has judged at least so many requests of `method` so; returns their records."""
        return agent.wait_audit("message", count=count, direction="c2s", method=method, decision=decision, **more)

    def assert_received(self, server, marker):
        self.assertIn(marker, server.received(), "the server should have read this")

    def assert_not_received(self, server, marker):
        self.assertNotIn(marker, server.received(), "the server must not read this")
