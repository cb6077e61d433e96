"""A stdio MCP server in plain Python: blocking, universal newlines, as the Python SDK reads its stdin.

    server.py [--exit-code N] [--log FILE] [--not-a-number]

--exit-code is what it exits with at the end of its input; --log FILE notes every line that it was given; --not-a-number puts
a NaN into the list of tools, as Python writes and reads it.
"""
import argparse
import io
import json
import sys
import time

TOOLS = [
    {"name": "echo", "description": "Says it back", "annotations": {"readOnlyHint": True},
     "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}}},
    {"name": "big", "description": "An answer of so many bytes",
     "inputSchema": {"type": "object", "properties": {"bytes": {"type": "integer"}}}},
    {"name": "sleep", "description": "Answers after ms", "inputSchema": {"type": "object"}},
    {"name": "fail", "description": "A result with isError", "inputSchema": {"type": "object"}},
    {"name": "write_note", "description": "Limited in the tests", "inputSchema": {"type": "object"}},
    {"name": "delete_note", "description": "Denied in the tests", "inputSchema": {"type": "object"}},
]


def text_result(text, **more):
    return {"content": [{"type": "text", "text": text}], **more}


def call(params):
    name, arguments = params.get("name"), params.get("arguments") or {}
    if name == "echo":
        return text_result(arguments.get("text", ""))
    if name == "big":
        return text_result("b" * arguments["bytes"])
    if name == "sleep":
        time.sleep(arguments["ms"] / 1000)
        return text_result("slept")
    if name == "fail":
        return text_result("it did not work", isError=True)
    if name in ("write_note", "delete_note"):
        return text_result("done")
    raise LookupError(f"Unknown tool: {name}")


def answer(message):
    method, params = message["method"], message.get("params") or {}
    if method == "initialize":
        return {"protocolVersion": params.get("protocolVersion", "2025-11-25"), "capabilities": {"tools": {}},
                "serverInfo": {"name": "notes-py", "version": "1.0.0"}}
    if method == "tools/list":
        return {"tools": TOOLS}
    if method == "tools/call":
        return call(params)
    if method == "ping":
        return {}
    raise NotImplementedError(f"Method not found: {method}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--exit-code", type=int, default=0)
    parser.add_argument("--log")
    parser.add_argument("--not-a-number", action="store_true")
    options = parser.parse_args()
    if options.not_a_number:
        TOOLS[0]["weight"] = float("nan")
    log = open(options.log, "a", encoding="utf-8", errors="replace") if options.log else None
    for line in io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="replace"):
        if log:
            log.write(line)
            log.flush()
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if not isinstance(message, dict) or "method" not in message or "id" not in message:
            continue
        reply = {"jsonrpc": "2.0", "id": message["id"]}
        try:
            reply["result"] = answer(message)
        except NotImplementedError as error:
            reply["error"] = {"code": -32601, "message": str(error)}
        except LookupError as error:
            reply["error"] = {"code": -32602, "message": str(error)}
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()
    return options.exit_code


if __name__ == "__main__":
    sys.exit(main())
