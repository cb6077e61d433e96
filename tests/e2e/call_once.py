"""A client of its own process: starts the server whose command is its argument (JSON), calls echo once, prints the answer."""
import json
import subprocess
import sys

server = subprocess.Popen(json.loads(sys.argv[1]), stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def ask(number, method, params):
    server.stdin.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode() + b"\n")
    server.stdin.flush()
    return json.loads(server.stdout.readline())


ask(1, "initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "call-once", "version": "1"}})
print(json.dumps(ask(2, "tools/call", {"name": "echo", "arguments": {"text": "x"}})))
server.stdin.close()
server.wait()
