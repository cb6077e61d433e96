"""server.py LOG HOW...: a small MCP server that gets its sockets from elsewhere, and writes every tool that it executes into LOG.

  listener FD           accepts from a socket that it was given        connection FD     was given one connection
  receive FD            gets the listener over this AF_UNIX socket     listen PORT       makes its own
  unbound COUNT         listens without bind() COUNT times, one connection each, and prints the ports

Options: lines (messages on lines, without HTTP), single (one connection after the other), defer (TCP_DEFER_ACCEPT),
shared (a forked process reads each connection too), forked (two such processes, and nobody else), threaded (one of them
reads in a thread that is not its first).
"""
import json
import os
import socket
import sys
import threading

log, how, what = sys.argv[1:4]
options = sys.argv[4:]


def execute(body):
    message = json.loads(body)
    tool = message.get("params", {}).get("name", message["method"])
    with open(log, "a") as file:
        file.write(f"{tool} {os.getpid()}\n")
    return json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": {"content": [{"type": "text", "text": f"done by {os.getpid()}"}]}}).encode()


def serve(connection):
    buffer = b""

    def until(length=None, mark=None):
        nonlocal buffer
        while len(buffer) < length if mark is None else mark not in buffer:
            piece = connection.recv(65536)
            if not piece:
                raise EOFError
            buffer += piece
        end = length if mark is None else buffer.index(mark) + len(mark)
        taken, buffer = buffer[:end], buffer[end:]
        return taken

    try:
        while "lines" in options:
            connection.sendall(execute(until(mark=b"\n")) + b"\n")
        while True:
            head = until(mark=b"\r\n\r\n").lower()
            answer = execute(until(int(head.split(b"content-length:")[1].split(b"\r\n")[0])))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))
    except (EOFError, OSError):
        connection.close()


def accept_from(listener):
    while True:
        connection = listener.accept()[0]
        if "single" in options:
            serve(connection)
            continue
        forks = 1 if "shared" in options else 2 if "forked" in options else 0
        for number in range(forks):
            if os.fork() == 0:
                if number == 0 and "threaded" in options:
                    reader = threading.Thread(target=serve, args=(connection,))
                    reader.start()
                    reader.join()
                else:
                    serve(connection)
                os._exit(0)
        if forks == 2:
            connection.close()
            continue
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


if how == "connection":
    serve(socket.socket(fileno=int(what)))
elif how == "listener":
    accept_from(socket.socket(fileno=int(what)))
elif how == "receive":
    accept_from(socket.socket(fileno=socket.recv_fds(socket.socket(fileno=int(what)), 1, 1)[1][0]))
elif how == "listen":
    own = socket.socket()
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    own.bind(("127.0.0.1", int(what)))
    if "defer" in options:
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
    own.listen(64)
    accept_from(own)
elif how == "unbound":
    for _ in range(int(what)):
        own = socket.socket()
        own.listen(5)
        print(own.getsockname()[1], flush=True)
        threading.Thread(target=serve, args=(own.accept()[0],), daemon=True).start()
        own.close()
    sys.stdin.read()
