// An MCP server over HTTP that is quick and can be many: for numbers of connections, SO_REUSEPORT, and measuring.
//
//   http_server PORT [--bind ADDRESS] [--processes N] [--tick MS] [--log FILE]
//
// POST to any path is MCP, answered as JSON, without sessions. GET /mcp is a stream of numbered events, one each --tick MS
// (405 without it), from the one after Last-Event-ID on. GET /bytes/N answers so many bytes, GET of another path "ok".
// --processes N: so many processes, each with its own SO_REUSEPORT listener. --bind takes an IPv4 or IPv6 address; "::"
// serves both.
// --log FILE appends every byte that it reads, before looking at it: what is not in FILE was never delivered.
#include <arpa/inet.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "json_scan.h"

namespace {

struct Options {
    int port = 0, processes = 1;
    long tick_ms = 0;
    std::string bind = "127.0.0.1", log_path;
};

struct Connection {
    std::string in, out;
    size_t sent = 0;  // of `out`
    bool streaming = false;
    long next_tick = 0;
    bool waits_for_writing = false;
};

constexpr char kTools[] =
    R"({"tools":[{"name":"echo","description":"Says it back","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}}},)"
    R"({"name":"big","description":"An answer of so many bytes","inputSchema":{"type":"object","properties":{"bytes":{"type":"integer"}}}},)"
    R"({"name":"process","description":"Which process answers","inputSchema":{"type":"object"}},)"
    R"({"name":"write_note","description":"Limited in the tests","inputSchema":{"type":"object"}},)"
    R"({"name":"delete_note","description":"Denied in the tests","inputSchema":{"type":"object"}}]})";

int log_fd = -1, epoll_fd = -1;
long ticks = 0;
std::unordered_map<int, Connection> connections;

[[noreturn]] void fail(const char* what) {
    std::perror(what);
    ::_exit(3);
}

std::string text_result(std::string_view escaped) {
    return R"({"content":[{"type":"text","text":")" + std::string(escaped) + R"("}]})";
}

std::string answer(std::string_view message) {
    const std::string_view method = scan::unquote(scan::member(message, "method")), id = scan::member(message, "id");
    const std::string_view params = scan::member(message, "params"), arguments = scan::member(params, "arguments");
    if (id.empty() || method.empty()) return {};
    const char* kind = "result";
    std::string body = "{}";
    if (method == "initialize") {
        const std::string_view version = scan::member(params, "protocolVersion");
        body = R"({"protocolVersion":)" + std::string(version.empty() ? R"("2025-11-25")" : version) +
               R"(,"capabilities":{"tools":{}},"serverInfo":{"name":"cpp-http-server","version":"1.0.0"}})";
    } else if (method == "tools/list") {
        body = kTools;
    } else if (method == "tools/call") {
        const std::string_view name = scan::unquote(scan::member(params, "name"));
        if (name == "echo") {
            body = text_result(scan::unquote(scan::member(arguments, "text")));
        } else if (name == "big") {
            body = text_result(std::string(static_cast<size_t>(scan::number(scan::member(arguments, "bytes"), 1)), 'b'));
        } else if (name == "process") {
            body = text_result(std::to_string(::getpid()));
        } else if (name == "write_note" || name == "delete_note") {
            body = text_result("done");
        } else {
            kind = "error", body = R"({"code":-32602,"message":"Unknown tool"})";
        }
    } else if (method != "ping") {
        kind = "error", body = R"({"code":-32601,"message":"Method not found"})";
    }
    return R"({"jsonrpc":"2.0","id":)" + std::string(id) + ",\"" + kind + "\":" + body + "}";
}

std::string response(const char* status, const char* type, std::string_view body) {
    return std::string("HTTP/1.1 ") + status + "\r\nContent-Type: " + type +
           "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

// The value of a header field, whatever the case of its name; empty where there is none.
std::string_view field(std::string_view head, std::string_view name) {
    for (size_t at = head.find("\r\n"); at != std::string_view::npos; at = head.find("\r\n", at + 2)) {
        const std::string_view line = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
        if (line.size() > name.size() && line[name.size()] == ':' && ::strncasecmp(line.data(), name.data(), name.size()) == 0) {
            const size_t value = line.find_first_not_of(" \t", name.size() + 1);
            return value == std::string_view::npos ? std::string_view{} : line.substr(value);
        }
    }
    return {};
}

void begin_stream(Connection& connection, std::string_view head) {
    const std::string_view after = field(head, "Last-Event-ID");
    connection.streaming = true;
    connection.next_tick = after.empty() ? ticks : std::atol(std::string(after).c_str()) + 1;
    connection.out += "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
}

void add_ticks(Connection& connection) {
    for (; connection.next_tick < ticks; ++connection.next_tick) {
        const std::string number = std::to_string(connection.next_tick);
        const std::string event =
            "id: " + number +
            "\ndata: " + R"({"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":)" + number +
            "}}\n\n";
        char size[32];
        std::snprintf(size, sizeof(size), "%zx\r\n", event.size());
        connection.out += size + event + "\r\n";
    }
}

// Takes whole requests from the input and adds their responses to the output.
void serve(Connection& connection, const Options& options) {
    for (size_t end; !connection.streaming && (end = connection.in.find("\r\n\r\n")) != std::string::npos;) {
        const std::string_view head = std::string_view(connection.in).substr(0, end + 2);
        const size_t length = std::strtoul(std::string(field(head, "Content-Length")).c_str(), nullptr, 10);
        if (connection.in.size() - end - 4 < length) return;
        const std::string_view body = std::string_view(connection.in).substr(end + 4, length);
        if (head.starts_with("POST ")) {
            const std::string text = answer(body);
            connection.out += text.empty() ? "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
                                           : response("200 OK", "application/json", text);
        } else if (head.starts_with("GET /mcp ")) {
            if (options.tick_ms)
                begin_stream(connection, head);
            else
                connection.out += response("405 Method Not Allowed", "text/plain", "no stream\n");
        } else if (head.starts_with("GET /bytes/")) {
            const size_t count = std::strtoul(std::string(head.substr(11, 20)).c_str(), nullptr, 10);
            connection.out += response("200 OK", "application/octet-stream", std::string(count, 'b'));
        } else {
            connection.out += response("200 OK", "text/plain", "ok\n");
            if (head.starts_with("HEAD ")) connection.out.resize(connection.out.size() - 3);
        }
        connection.in.erase(0, end + 4 + length);
    }
}

void watch(int fd, uint32_t events, int operation) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    if (::epoll_ctl(epoll_fd, operation, fd, &event)) fail("epoll_ctl");
}

// False when the connection is broken.
bool flush(int fd, Connection& connection) {
    while (connection.sent < connection.out.size()) {
        const ssize_t put =
            ::send(fd, connection.out.data() + connection.sent, connection.out.size() - connection.sent, MSG_NOSIGNAL);
        if (put < 0 && errno == EAGAIN) break;
        if (put < 0) return false;
        connection.sent += static_cast<size_t>(put);
    }
    if (connection.sent == connection.out.size()) connection.out.clear(), connection.sent = 0;
    if (connection.waits_for_writing == connection.out.empty()) {
        connection.waits_for_writing = !connection.out.empty();
        watch(fd, connection.waits_for_writing ? EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
    }
    return true;
}

bool readable(int fd, Connection& connection, const Options& options) {
    char buffer[1 << 16];
    const ssize_t got = ::recv(fd, buffer, sizeof(buffer), 0);
    if (got < 0 && errno == EAGAIN) return true;
    if (got <= 0) return false;
    if (log_fd >= 0 && ::write(log_fd, buffer, static_cast<size_t>(got)) != got) fail("log");
    connection.in.append(buffer, static_cast<size_t>(got));
    serve(connection, options);
    return flush(fd, connection);
}

int listener(const Options& options) {
    const bool six = options.bind.find(':') != std::string::npos;
    const int fd = ::socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1, off = 0;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (options.processes > 1) ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    sockaddr_storage address{};
    socklen_t length = sizeof(sockaddr_in);
    if (six) {
        ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
        auto& in6 = reinterpret_cast<sockaddr_in6&>(address);
        in6.sin6_family = AF_INET6, in6.sin6_port = htons(static_cast<uint16_t>(options.port)), length = sizeof(sockaddr_in6);
        if (::inet_pton(AF_INET6, options.bind.c_str(), &in6.sin6_addr) != 1) fail("--bind");
    } else {
        auto& in4 = reinterpret_cast<sockaddr_in&>(address);
        in4.sin_family = AF_INET, in4.sin_port = htons(static_cast<uint16_t>(options.port));
        if (::inet_pton(AF_INET, options.bind.c_str(), &in4.sin_addr) != 1) fail("--bind");
    }
    if (::bind(fd, reinterpret_cast<sockaddr*>(&address), length)) fail("bind");
    if (::listen(fd, 4096)) fail("listen");
    return fd;
}

void accept_all(int listening) {
    for (int fd; (fd = ::accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        connections[fd] = {};
        watch(fd, EPOLLIN, EPOLL_CTL_ADD);
    }
}

void end(int fd) {
    ::close(fd);
    connections.erase(fd);
}

void tick(int timer) {
    uint64_t passed = 0;
    if (::read(timer, &passed, sizeof(passed)) != sizeof(passed)) return;
    ticks += static_cast<long>(passed);
    std::vector<int> broken;
    for (auto& [fd, connection] : connections) {
        if (!connection.streaming) continue;
        add_ticks(connection);
        if (!flush(fd, connection)) broken.push_back(fd);
    }
    for (const int fd : broken) end(fd);
}

void run(const Options& options) {
    epoll_fd = ::epoll_create1(EPOLL_CLOEXEC);
    const int listening = listener(options);
    watch(listening, EPOLLIN, EPOLL_CTL_ADD);
    int timer = -1;
    if (options.tick_ms) {
        timer = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        const timespec period{options.tick_ms / 1000, options.tick_ms % 1000 * 1000000};
        const itimerspec each{period, period};
        ::timerfd_settime(timer, 0, &each, nullptr);
        watch(timer, EPOLLIN, EPOLL_CTL_ADD);
    }
    for (;;) {
        epoll_event ready[256];
        const int count = ::epoll_wait(epoll_fd, ready, 256, -1);
        for (int i = 0; i < count; ++i) {
            const int fd = ready[i].data.fd;
            if (fd == listening) {
                accept_all(listening);
            } else if (fd == timer) {
                tick(timer);
            } else if (const auto found = connections.find(fd); found != connections.end()) {
                const bool goes_on = ready[i].events & EPOLLOUT ? flush(fd, found->second) : readable(fd, found->second, options);
                if (!goes_on) end(fd);
            }
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    // Large answers are made of memory that is there: what the kernel needs to take it back and give it again would be
    // measured as the server's.
    ::mallopt(M_TRIM_THRESHOLD, 256 << 20);
    ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
    Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        const char* next = i + 1 < argc ? argv[i + 1] : "";
        if (word == "--bind")
            options.bind = next, ++i;
        else if (word == "--processes")
            options.processes = std::atoi(next), ++i;
        else if (word == "--tick")
            options.tick_ms = std::atol(next), ++i;
        else if (word == "--log")
            options.log_path = next, ++i;
        else
            options.port = std::atoi(argv[i]);
    }
    if (options.port <= 0) {
        std::fprintf(stderr, "usage: http_server PORT [--bind ADDRESS] [--processes N] [--tick MS] [--log FILE]\n");
        return 2;
    }
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    if (!options.log_path.empty()) log_fd = ::open(options.log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    for (int i = 1; i < options.processes; ++i) {
        const pid_t parent = ::getpid();
        if (::fork() == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::getppid() != parent) return 0;
            break;
        }
    }
    run(options);
}
