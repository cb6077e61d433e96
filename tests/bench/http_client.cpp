// The measuring client of the HTTP benchmark: drives contenders in turns over loopback, prints one JSON object.
//
//   http_client [--rounds N] [--milliseconds N] [--connections N] [--fresh] KIND CONTENDER…
//
// KIND: call (a tools/call of echo) · get (GET /health) · download BYTES · upload BYTES (of no JSON). CONTENDER:
// NAME,PORT,SERVER-PID[,PROXY-PID…]. In each round each contender serves so many milliseconds; every connection has one
// request under way at a time. --fresh makes a new connection for each request. Of each contender: the median of its rounds'
// requests per second, p50 and p99 of all its requests, and processor time per request, its proxy's and its server's, all
// threads.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct Options {
    int rounds = 10, milliseconds = 200, connections = 1;
    bool fresh = false;
    std::string kind;
    size_t bytes = 0;
};

struct Connection {
    int fd = -1;
    int64_t sent_at = 0;
    size_t written = 0;  // of the request
    std::string head;    // of the response, until it is whole
    size_t body_left = 0;
    bool in_body = false;
};

struct Contender {
    std::string name;
    uint16_t port = 0;
    int server = 0;
    std::vector<int> proxies;
    std::vector<Connection> connections;
    std::vector<double> microseconds, rates;
    double server_ns = 0, proxy_ns = 0;
};

[[noreturn]] void fail(const char* what) {
    perror(what);
    exit(1);
}

int64_t now_ns() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1'000'000'000ll + now.tv_nsec;
}

// Nanoseconds that the threads of a process have run.
double processor_ns(int pid) {
    double total = 0;
    std::error_code gone;
    for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", gone)) {
        double ran = 0;
        std::ifstream(task.path() / "schedstat") >> ran;
        total += ran;
    }
    return total;
}

std::string request_of(const Options& options) {
    const std::string host = " HTTP/1.1\r\nHost: localhost\r\n";
    if (options.kind == "get") return "GET /health" + host + "\r\n";
    if (options.kind == "download") return "GET /bytes/" + std::to_string(options.bytes) + host + "\r\n";
    const bool call = options.kind == "call";
    const std::string body =
        call ? R"({"jsonrpc":"2.0","id":1234,"method":"tools/call","params":{"name":"echo","arguments":{"text":")" +
                   std::string(100, 'x') + R"("}}})"
             : std::string(options.bytes, 'u');
    const std::string fields = call ? "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
                                      "MCP-Protocol-Version: 2025-11-25\r\n"
                                    : "Content-Type: application/octet-stream\r\n";
    return "POST /mcp" + host + fields + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

int epoll_fd = -1;

void watch(Connection& connection, uint32_t events, int operation) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &connection;
    if (epoll_ctl(epoll_fd, operation, connection.fd, &event)) fail("epoll_ctl");
}

void open_connection(Connection& connection, uint16_t port) {
    connection.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(connection.fd, reinterpret_cast<sockaddr*>(&address), sizeof(address))) fail("connect");
    const int on = 1;
    setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    watch(connection, EPOLLIN, EPOLL_CTL_ADD);
}

// Writes what fits; asks to be called again when more does.
void write_some(Connection& connection, std::string_view request) {
    while (connection.written < request.size()) {
        const ssize_t put = send(connection.fd, request.data() + connection.written, request.size() - connection.written,
                                 MSG_DONTWAIT | MSG_NOSIGNAL);
        if (put < 0 && errno == EAGAIN) return watch(connection, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
        if (put < 0) fail("send");
        connection.written += static_cast<size_t>(put);
    }
}

void begin(Connection& connection, std::string_view request) {
    connection.written = 0;
    connection.head.clear();
    connection.in_body = false;
    connection.sent_at = now_ns();
    write_some(connection, request);
}

void take_head(Connection& connection) {
    const size_t end = connection.head.find("\r\n\r\n");
    if (end == std::string::npos) return;
    const std::string_view head = std::string_view(connection.head).substr(0, end);
    const char* length = strcasestr(connection.head.c_str(), "\r\ncontent-length:");
    if (!(head.starts_with("HTTP/1.1 200 ") || head.starts_with("HTTP/1.1 202 ")) || !length ||
        connection.head.find("[POLICY DENIED]") != std::string::npos) {
        fprintf(stderr, "not the response that was expected: %s\n", connection.head.c_str());
        exit(1);
    }
    connection.in_body = true;
    connection.body_left = strtoul(length + strlen("\r\ncontent-length:"), nullptr, 10);
    const size_t extra = connection.head.size() - end - 4;
    if (extra > connection.body_left) fail("more than one response");
    connection.body_left -= extra;
}

// True when the response is complete.
bool read_some(Connection& connection) {
    static char buffer[1 << 18];
    const ssize_t got = recv(connection.fd, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return false;
    if (got <= 0) fail("the connection ended");
    if (connection.in_body) {
        connection.body_left -= std::min(connection.body_left, static_cast<size_t>(got));
    } else {
        connection.head.append(buffer, static_cast<size_t>(got));
        take_head(connection);
    }
    return connection.in_body && connection.body_left == 0;
}

// One contender's turn: begins on every connection, begins again at each answer until the time is up, waits for the rest.
void turn(Contender& contender, const Options& options, std::string_view request, bool counts) {
    double proxy_before = 0;
    for (const int pid : contender.proxies) proxy_before += processor_ns(pid);
    const double server_before = processor_ns(contender.server);
    const int64_t start = now_ns(), until = start + options.milliseconds * 1'000'000ll;
    long done = 0;
    size_t under_way = 0;
    for (Connection& each : contender.connections) {
        const int64_t before = now_ns();
        if (each.fd < 0) open_connection(each, contender.port);
        begin(each, request);
        if (options.fresh) each.sent_at = before;
        ++under_way;
    }
    int64_t now = start;
    while (under_way > 0) {
        epoll_event ready[64];
        const int count = epoll_wait(epoll_fd, ready, 64, 10000);
        if (count <= 0) fail("no answer for 10 s");
        for (int i = 0; i < count; ++i) {
            Connection& each = *static_cast<Connection*>(ready[i].data.ptr);
            if (ready[i].events & EPOLLOUT) {
                watch(each, EPOLLIN, EPOLL_CTL_MOD);
                write_some(each, request);
            }
            if (!(ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || !read_some(each)) continue;
            now = now_ns();
            if (counts) contender.microseconds.push_back(static_cast<double>(now - each.sent_at) / 1000);
            ++done;
            if (options.fresh) close(each.fd), each.fd = -1;
            if (now >= until) {
                --under_way;
                continue;
            }
            if (options.fresh) open_connection(each, contender.port);
            begin(each, request);
            if (options.fresh) each.sent_at = now;
        }
    }
    if (!counts) return;
    contender.rates.push_back(static_cast<double>(done) / (static_cast<double>(now - start) / 1e9));
    contender.server_ns += processor_ns(contender.server) - server_before;
    double proxy_after = 0;
    for (const int pid : contender.proxies) proxy_after += processor_ns(pid);
    contender.proxy_ns += proxy_after - proxy_before;
}

double percentile(std::vector<double>& values, double part) {
    std::sort(values.begin(), values.end());
    return values[std::min(values.size() - 1, static_cast<size_t>(static_cast<double>(values.size()) * part))];
}

Contender contender_of(std::string_view word, const Options& options) {
    std::vector<std::string> parts{""};
    for (const char c : word) c == ',' ? parts.emplace_back() : parts.back() += std::string(1, c);
    Contender contender;
    contender.name = parts[0];
    if (parts.size() > 2)
        contender.port = static_cast<uint16_t>(atoi(parts[1].c_str())), contender.server = atoi(parts[2].c_str());
    for (size_t i = 3; i < parts.size(); ++i) contender.proxies.push_back(atoi(parts[i].c_str()));
    contender.connections.resize(static_cast<size_t>(options.connections));
    return contender;
}

void print(std::vector<Contender>& contenders) {
    printf("{");
    for (Contender& each : contenders) {
        const double requests = static_cast<double>(each.microseconds.size());
        printf(
            "%s\"%s\": {\"per_second\": %.0f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"proxy_cpu_us\": %.2f, \"server_cpu_us\": %.2f}",
            &each == contenders.data() ? "" : ", ", each.name.c_str(), percentile(each.rates, 0.5),
            percentile(each.microseconds, 0.5), percentile(each.microseconds, 0.99), each.proxy_ns / 1000 / requests,
            each.server_ns / 1000 / requests);
    }
    printf("}\n");
}

}  // namespace

int main(int count, char** arguments) {
    Options options;
    std::vector<std::string_view> names;
    for (int i = 1; i < count; ++i) {
        const std::string_view word = arguments[i];
        const char* next = i + 1 < count ? arguments[i + 1] : "";
        if (word == "--rounds")
            options.rounds = atoi(next), ++i;
        else if (word == "--milliseconds")
            options.milliseconds = atoi(next), ++i;
        else if (word == "--connections")
            options.connections = atoi(next), ++i;
        else if (word == "--fresh")
            options.fresh = true;
        else if (options.kind.empty())
            options.kind = word;
        else if (options.bytes == 0 && (options.kind == "download" || options.kind == "upload"))
            options.bytes = strtoul(arguments[i], nullptr, 10);
        else
            names.push_back(word);
    }
    std::vector<Contender> contenders;
    for (const std::string_view name : names) contenders.push_back(contender_of(name, options));
    const bool known = options.kind == "call" || options.kind == "get" || options.bytes > 0;
    if (!known || contenders.empty() || options.connections < 1 || options.rounds < 1 ||
        std::any_of(contenders.begin(), contenders.end(), [](const Contender& each) { return each.port == 0; })) {
        fprintf(
            stderr,
            "usage: http_client [--rounds N] [--milliseconds N] [--connections N] [--fresh] call|get|download BYTES|upload BYTES "
            "NAME,PORT,SERVER-PID[,PROXY-PID…]…\n");
        return 2;
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    const std::string request = request_of(options);
    for (Contender& each : contenders) turn(each, options, request, false);  // connections, and what is slow the first time
    for (int round = 0; round < options.rounds; ++round)
        for (Contender& each : contenders) turn(each, options, request, true);
    print(contenders);
}
