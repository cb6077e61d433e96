// A stdio MCP server whose way of reading can be chosen, so that each way can be shown to be governed.
//
//   mcp_server [--readv] [--recvmsg] [--recvmmsg] [--splice] [--io_uring] [--registered] [--epoll] [--dup] [--threads N]
//              [--readers N] [--late MS] [--double-fork [--parents-end]] [--log FILE]
//              [--links N] [--forks] [--spawns FIFO] (company.h)
//
// --registered: through io_uring, and by a number that the ring has for the file.
// --log FILE appends every byte that it reads, before looking at it: what is not in FILE was never delivered.
#include <fcntl.h>
#include <liburing.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <iterator>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "company.h"
#include "json_scan.h"

namespace {

struct Options {
    bool readv = false, recvmsg = false, recvmmsg = false, splice = false, io_uring = false, registered = false;
    bool epoll = false, dup = false, double_fork = false, parents_end = false;
    bool forks = false;
    int threads = 0, links = 0;
    int readers = 1;
    int late_ms = 0;
    std::string log_path, spawns;
};

constexpr char kTools[] =
    R"({"tools":[)"
    R"({"name":"echo","description":"Says it back","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}},"annotations":{"readOnlyHint":true}},)"
    R"({"name":"big","description":"An answer of so many bytes","inputSchema":{"type":"object","properties":{"bytes":{"type":"integer"}}}},)"
    R"({"name":"sleep","description":"Answers after ms","inputSchema":{"type":"object","properties":{"ms":{"type":"integer"}}}},)"
    R"({"name":"noise","description":"Prints a line that is no JSON, then answers","inputSchema":{"type":"object"}},)"
    R"({"name":"print","description":"Prints a file as it is, then answers","inputSchema":{"type":"object","properties":{"path":{"type":"string"}}}},)"
    R"({"name":"fail","description":"A result with isError","inputSchema":{"type":"object"}},)"
    R"({"name":"write_note","description":"Limited in the tests","inputSchema":{"type":"object"}},)"
    R"({"name":"delete_note","description":"Denied in the tests","inputSchema":{"type":"object"}},)"
    R"({"name":"exit","description":"Ends the server with a code","inputSchema":{"type":"object","properties":{"code":{"type":"integer"}}}})"
    R"(]})";

int in_fd = 0, out_fd = 1, log_fd = -1;
std::mutex out_mutex;

void write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(fd, bytes.data(), bytes.size());
        if (n >= 0) {
            bytes.remove_prefix(static_cast<size_t>(n));
        } else if (errno == EAGAIN) {
            ::usleep(200);
        } else if (errno != EINTR) {
            std::perror("mcp_server: write");
            ::_exit(3);
        }
    }
}

void say(std::string line) {
    line += '\n';
    const std::lock_guard lock(out_mutex);
    write_all(out_fd, line);
}

std::string text_result(std::string_view escaped_text, bool is_error = false) {
    std::string result = R"({"content":[{"type":"text","text":")";
    result += escaped_text;
    result += is_error ? R"("}],"isError":true})" : R"("}]})";
    return result;
}

std::string call_tool(std::string_view params, bool& is_protocol_error) {
    const std::string_view name = scan::unquote(scan::member(params, "name"));
    const std::string_view arguments = scan::member(params, "arguments");
    if (name == "echo") return text_result(scan::unquote(scan::member(arguments, "text")));
    if (name == "big")
        return text_result(std::string(static_cast<size_t>(scan::number(scan::member(arguments, "bytes"), 1)), 'b'));
    if (name == "sleep") {
        ::usleep(static_cast<useconds_t>(scan::number(scan::member(arguments, "ms"), 1) * 1000));
        return text_result("slept");
    }
    if (name == "noise") {
        say("this line is no JSON: {\"jsonrpc\"");
        return text_result("noise made");
    }
    if (name == "print") {
        std::ifstream file(std::string(scan::unquote(scan::member(arguments, "path"))), std::ios::binary);
        const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
        const std::lock_guard lock(out_mutex);
        write_all(out_fd, bytes);
        return text_result("printed");
    }
    if (name == "fail") return text_result("it did not work", true);
    if (name == "write_note" || name == "delete_note") return text_result("done");
    if (name == "exit") ::_exit(static_cast<int>(scan::number(scan::member(arguments, "code"), 0)));
    is_protocol_error = true;
    return R"({"code":-32602,"message":"Unknown tool"})";
}

void handle(const std::string& line) {
    const std::string_view method = scan::unquote(scan::member(line, "method"));
    const std::string_view id = scan::member(line, "id");
    const std::string_view params = scan::member(line, "params");
    if (id.empty() || method.empty()) return;  // notifications, answers, blank lines, rubbish
    bool is_error = false;
    std::string body;
    if (method == "initialize") {
        const std::string_view version = scan::member(params, "protocolVersion");
        body = R"({"protocolVersion":)" + std::string(version.empty() ? R"("2025-11-25")" : version) +
               R"(,"capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"cpp-test-server","version":"1.0.0"}})";
    } else if (method == "tools/list") {
        body = kTools;
    } else if (method == "tools/call") {
        body = call_tool(params, is_error);
    } else if (method == "ping") {
        body = "{}";
    } else {
        is_error = true;
        body = R"({"code":-32601,"message":"Method not found"})";
    }
    say(R"({"jsonrpc":"2.0","id":)" + std::string(id) + (is_error ? R"(,"error":)" : R"(,"result":)") + body + "}");
}

// Worker threads: requests are answered in whatever order they finish.
class Pool {
  public:
    explicit Pool(int size) {
        for (int i = 0; i < size; ++i) threads_.emplace_back([this] { work(); });
    }
    ~Pool() {
        {
            const std::lock_guard lock(mutex_);
            closing_ = true;
        }
        wake_.notify_all();
        for (std::thread& thread : threads_) thread.join();
    }
    void submit(std::string line) {
        {
            const std::lock_guard lock(mutex_);
            lines_.push_back(std::move(line));
        }
        wake_.notify_one();
    }

  private:
    void work() {
        std::unique_lock lock(mutex_);
        for (;;) {
            wake_.wait(lock, [this] { return closing_ || !lines_.empty(); });
            if (lines_.empty()) return;
            const std::string line = std::move(lines_.front());
            lines_.pop_front();
            lock.unlock();
            handle(line);
            lock.lock();
        }
    }
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::string> lines_;
    std::vector<std::thread> threads_;
    bool closing_ = false;
};

// Moves what comes into a pipe of its own, and reads it there.
ssize_t splice_some(char* into, size_t size) {
    static const auto own = [] {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC)) std::perror("mcp_server: pipe2"), ::_exit(4);
        return ends;
    }();
    const ssize_t moved = ::splice(in_fd, nullptr, own[1], nullptr, size, 0);
    return moved > 0 ? ::read(own[0], into, static_cast<size_t>(moved)) : moved;
}

ssize_t ring_some(bool registered, char* into, size_t size) {
    static io_uring ring = [&] {
        io_uring made{};
        if (::io_uring_queue_init(4, &made, 0) < 0 || (registered && ::io_uring_register_files(&made, &in_fd, 1) < 0))
            std::fprintf(stderr, "mcp_server: no io_uring\n"), ::_exit(4);
        return made;
    }();
    io_uring_sqe* entry = ::io_uring_get_sqe(&ring);
    ::io_uring_prep_read(entry, registered ? 0 : in_fd, into, static_cast<unsigned>(size), 0);
    if (registered) entry->flags |= IOSQE_FIXED_FILE;
    ::io_uring_submit(&ring);
    io_uring_cqe* done = nullptr;
    while (::io_uring_wait_cqe(&ring, &done) < 0) {
    }
    const int result = done->res;
    ::io_uring_cqe_seen(&ring, done);
    if (result < 0) errno = -result;
    return result < 0 ? -1 : result;
}

ssize_t read_some(const Options& options, int epoll_fd, char* into, size_t size) {
    for (;;) {
        if (epoll_fd >= 0) {
            epoll_event event{};
            if (::epoll_wait(epoll_fd, &event, 1, -1) < 0 && errno == EINTR) continue;
        }
        ssize_t n = 0;
        if (options.readv) {  // three pieces of unequal size, so that frames straddle them
            iovec pieces[3] = {{into, 5}, {into + 5, 100}, {into + 105, size - 105}};
            n = ::readv(in_fd, pieces, 3);
        } else if (options.recvmsg) {
            iovec piece = {into, size};
            msghdr message{};
            message.msg_iov = &piece;
            message.msg_iovlen = 1;
            n = ::recvmsg(in_fd, &message, 0);
        } else if (options.recvmmsg) {  // two messages of two unequal pieces each
            iovec pieces[4] = {{into, 5}, {into + 5, 2}, {into + 7, 3}, {into + 10, size - 10}};
            mmsghdr messages[2]{};
            for (int i = 0; i < 2; ++i) {
                messages[i].msg_hdr.msg_iov = &pieces[2 * i];
                messages[i].msg_hdr.msg_iovlen = 2;
            }
            n = ::recvmmsg(in_fd, messages, 2, MSG_WAITFORONE, nullptr);
            if (n > 0) n = messages[0].msg_len + (n > 1 ? messages[1].msg_len : 0);
        } else if (options.splice) {
            n = splice_some(into, size);
        } else if (options.io_uring) {
            n = ring_some(options.registered, into, size);
        } else {
            n = ::read(in_fd, into, size);
        }
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            if (errno == EINTR) std::fprintf(stderr, "mcp_server: a read was interrupted\n");
            continue;
        }
        return n;
    }
}

int read_lines(const Options& options, int epoll_fd, Pool& pool) {
    std::string buffer;
    size_t looked_at = 0;
    std::vector<char> chunk(1 << 16);
    for (;;) {
        const ssize_t n = read_some(options, epoll_fd, chunk.data(), chunk.size());
        if (n < 0) return std::perror("mcp_server: read"), 5;
        if (n == 0) return 0;
        if (log_fd >= 0) write_all(log_fd, {chunk.data(), static_cast<size_t>(n)});
        buffer.append(chunk.data(), static_cast<size_t>(n));
        size_t begin = 0;
        for (size_t end; (end = buffer.find('\n', std::max(begin, looked_at))) != std::string::npos; begin = end + 1) {
            std::string line = buffer.substr(begin, end - begin);
            if (options.threads > 0)
                pool.submit(std::move(line));
            else
                handle(line);
        }
        buffer.erase(0, begin);
        looked_at = buffer.size();
    }
}

int serve(const Options& options) {
    if (!options.log_path.empty()) {
        log_fd = ::open(options.log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (log_fd < 0) return std::perror("mcp_server: log"), 4;
    }
    if (options.late_ms > 0) ::usleep(static_cast<useconds_t>(options.late_ms) * 1000);
    if (options.dup) {
        in_fd = ::fcntl(0, F_DUPFD_CLOEXEC, 70);
        out_fd = ::fcntl(1, F_DUPFD_CLOEXEC, 80);
        const int null_fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
        ::dup2(null_fd, 0);
        ::dup2(null_fd, 1);
        ::close(null_fd);
    }
    int epoll_fd = -1;
    if (options.epoll) {
        ::fcntl(in_fd, F_SETFL, ::fcntl(in_fd, F_GETFL) | O_NONBLOCK);
        epoll_fd = ::epoll_create1(EPOLL_CLOEXEC);
        epoll_event event{};
        event.events = EPOLLIN | EPOLLRDHUP;
        event.data.u64 = 0x0123456789abcdefULL;
        if (::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, in_fd, &event) < 0) return std::perror("mcp_server: epoll"), 4;
    }
    for (int chain = 0; chain < options.links; ++chain) print_links(say, chain);
    if (options.forks) fork_children(out_fd);
    if (!options.spawns.empty()) wait_in_spawn(options.spawns);
    Pool pool(options.threads);
    // Each reads whole lines, as long as the client writes each at once.
    std::vector<std::thread> others;
    for (int i = 1; i < options.readers; ++i) others.emplace_back([&] { read_lines(options, epoll_fd, pool); });
    const int code = read_lines(options, epoll_fd, pool);
    for (std::thread& other : others) other.join();
    return code;
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        const auto value = [&] {
            return i + 1 < argc ? argv[++i] : (std::fprintf(stderr, "%s needs a value\n", argv[i]), std::exit(2), "");
        };
        if (word == "--readv")
            options.readv = true;
        else if (word == "--recvmsg")
            options.recvmsg = true;
        else if (word == "--recvmmsg")
            options.recvmmsg = true;
        else if (word == "--splice")
            options.splice = true;
        else if (word == "--io_uring")
            options.io_uring = true;
        else if (word == "--registered")
            options.io_uring = options.registered = true;
        else if (word == "--epoll")
            options.epoll = true;
        else if (word == "--dup")
            options.dup = true;
        else if (word == "--double-fork")
            options.double_fork = true;
        else if (word == "--parents-end")
            options.parents_end = true;
        else if (word == "--links")
            options.links = std::atoi(value());
        else if (word == "--forks")
            options.forks = true;
        else if (word == "--spawns")
            options.spawns = value();
        else if (word == "--threads")
            options.threads = std::atoi(value());
        else if (word == "--readers")
            options.readers = std::atoi(value());
        else if (word == "--late")
            options.late_ms = std::atoi(value());
        else if (word == "--log")
            options.log_path = value();
        else if (word.starts_with("--label="))
            continue;  // only there to be matched by a policy's "command"
        else
            return std::fprintf(stderr, "mcp_server: unknown option %s\n", argv[i]), 2;
    }
    if (options.double_fork) {  // the grandchild serves; both parents keep the descriptors open and only wait, or end
        for (int generation = 0; generation < 2; ++generation) {
            const pid_t child = ::fork();
            if (child < 0) return std::perror("mcp_server: fork"), 4;
            if (child == 0) continue;
            if (options.parents_end) ::_exit(0);
            int status = 0;
            while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
            }
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
    }
    return serve(options);
}
