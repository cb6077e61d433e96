"""Programs that speak JSON-RPC over stdio, and are no MCP servers.

    server.py acp | codex | ipc | lsp

Each answers every request with its method's name, in its own protocol's shape and framing.
"""
import json
import sys


def lines(stream):
    for line in stream:
        yield json.loads(line)


def content_length(stream):
    while header := stream.readline():
        length = 0
        while header.strip():
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            header = stream.readline()
        yield json.loads(stream.read(length))


def main():
    protocol = sys.argv[1]
    results = {
        "acp": {"initialize": {"protocolVersion": 1, "agentCapabilities": {"loadSession": True}, "authMethods": []}},
        "lsp": {"initialize": {"capabilities": {"hoverProvider": True}, "serverInfo": {"name": "lookalike"}}},
        "codex": {"initialize": {"userAgent": "lookalike/1.0"}},
        "ipc": {"eth_blockNumber": "0x10"},
    }[protocol]
    reader = content_length if protocol == "lsp" else lines
    for message in reader(sys.stdin.buffer):
        if "id" not in message or "method" not in message:
            continue
        answer = {"id": message["id"], "result": results.get(message["method"], {"echo": message["method"]})}
        if protocol != "codex":  # whose messages carry no version member
            answer = {"jsonrpc": "2.0", **answer}
        body = json.dumps(answer).encode()
        head = b"Content-Length: %d\r\n\r\n" % len(body) if protocol == "lsp" else b""
        sys.stdout.buffer.write(head + body + (b"" if protocol == "lsp" else b"\n"))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
