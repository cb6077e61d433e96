"""The servers of the tests: how each is started, how a policy names it, which tools it has."""
import dataclasses

from .base import BUN, DENO, MCP_SERVER, MODULES, NODE, NODE_DIRECTORY, PYTHON, SERVERS, SHORT


@dataclasses.dataclass(frozen=True)
class Server:
    """A server, how a policy names it, and three of its tools, each with arguments."""
    name: str
    command: tuple
    match: dict
    allowed: tuple
    denied: tuple
    limited: tuple
    exit_code: int = 0


def _notes(name, command, match, exit_code=0):
    return Server(name, tuple(command), match, ("echo", {"text": "hello"}), ("delete_note", {}), ("write_note", {}), exit_code)


def published(package, *arguments):
    """The command that runs a published npm server with the pinned node."""
    return (NODE, str(MODULES / "@modelcontextprotocol" / package / "dist" / "index.js"), *arguments)


def cpp_server(*options):
    """The C++ test server in one of its ways of reading; the policy knows it by its command line."""
    return _notes("cpp" + "".join(o for o in options if o.startswith("--")), (MCP_SERVER, *options),
                  {"command": "*mcp_server " + " ".join(options) + "*" if options else "*mcp_server*"})


def chosen(servers):
    """All of them; in the short form the first one written in Python and the first in C++, which need no runtime beside."""
    if not SHORT:
        return tuple(servers)
    return tuple(next(server for server in servers if server.name.startswith(name)) for name in ("python", "cpp"))


EVERYTHING = Server("server-everything", published("server-everything", "stdio"),
                    {"package": "@modelcontextprotocol/server-everything"},
                    ("echo", {"message": "hello"}), ("get-env", {}), ("get-sum", {"a": 1, "b": 2}))
FILESYSTEM = Server("server-filesystem", published("server-filesystem", "/usr/share/doc"),
                    {"package": "@modelcontextprotocol/server-filesystem"},
                    ("list_allowed_directories", {}), ("write_file", {"path": "/usr/share/doc/no-such-directory/x", "content": "x"}),
                    ("get_file_info", {"path": "/usr/share/doc"}))
MEMORY = Server("server-memory", ("env", "MEMORY_FILE_PATH=/nonexistent/memory.jsonl", *published("server-memory")),
                {"package": "@modelcontextprotocol/server-memory"},
                ("read_graph", {}), ("delete_entities", {"entityNames": []}), ("search_nodes", {"query": "x"}))
NOTES_PY = _notes("python", (PYTHON, str(SERVERS / "python" / "server.py"), "--exit-code", "7"), {"package": "notes-py"}, 7)
NOTES_BUN = _notes("bun", (BUN, str(SERVERS / "bun" / "server.mjs")), {"package": "notes-bun"})
NOTES_DENO = _notes("deno", ("env", "DENO_NO_UPDATE_CHECK=1", DENO, "run", "--allow-all", "--no-lock", str(SERVERS / "deno" / "server.mjs")),
                    {"package": "notes-deno"})
MODERN = Server("sdk-v2", (NODE, str(NODE_DIRECTORY / "modern_server" / "server.mjs")), {"package": "notes-modern"},
                ("echo", {}), ("delete_note", {}), ("write_note", {}))
# What is read with splice(2) or through io_uring before the take-over is not judged: these are late, so that nothing is.
CPP_SERVERS = tuple(cpp_server(*options) for options in (
    ("--readv",), ("--recvmsg",), ("--recvmmsg",), ("--splice", "--late", "300"), ("--io_uring", "--late", "300"), ("--epoll",),
    ("--dup",), ("--threads", "4"), ("--late", "300"), ("--double-fork",)))
