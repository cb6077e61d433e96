#include "draft/server_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/limits.h"
#include "kernel/proc.h"

namespace callgate {
namespace {

constexpr int64_t kNanosecondsPerMillisecond = 1'000'000;

struct Pipe {
    Fd reader, writer;
};

Result<Pipe> make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return Error::system("pipe", "", errno);
    return Pipe{Fd::adopt(ends[0]), Fd::adopt(ends[1])};
}

// In a process group of its own, with SIGPIPE as usual.
int spawn(pid_t& pid, const std::vector<std::string>& command, int input, int output) {
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t as_usual;
    sigemptyset(&as_usual);
    sigaddset(&as_usual, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &as_usual);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    std::vector<char*> words;
    for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    const int problem = ::posix_spawnp(&pid, words[0], &files, &attributes, words.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return problem;
}

int depth_below(pid_t pid, pid_t ancestor) {
    constexpr int kDepthMax = 32;
    for (int depth = 0; depth < kDepthMax && pid > 1; ++depth, pid = parent_of(pid)) {
        if (pid == ancestor) return depth;
    }
    return -1;
}

}  // namespace

ServerProcess::ServerProcess(ServerProcess&& other) noexcept
    : name_(std::move(other.name_)),
      pid_(std::exchange(other.pid_, 0)),
      pidfd_(std::move(other.pidfd_)),
      input_(std::move(other.input_)),
      output_(std::move(other.output_)),
      read_(std::move(other.read_)),
      deadline_ns_(other.deadline_ns_) {}

ServerProcess::~ServerProcess() { end(); }

Result<ServerProcess> ServerProcess::start(const std::vector<std::string>& command) {
    ServerProcess server;
    server.name_ = command.front();
    Pipe input = TRY(make_pipe()), output = TRY(make_pipe());
    const int problem = spawn(server.pid_, command, input.reader.get(), output.writer.get());
    if (problem != 0) {
        server.pid_ = 0;
        return Error::system("start", server.name_, problem);
    }
    server.pidfd_ = TRY(open_pidfd(server.pid_));
    server.input_ = std::move(input.writer);
    server.output_ = std::move(output.reader);
    server.deadline_ns_ = monotonic_ns() + kDraftTimeout.count() * kNanosecondsPerMillisecond;
    return server;
}

Status ServerProcess::send(std::string line) {
    line += '\n';
    for (size_t sent = 0; sent < line.size();) {
        const ssize_t written = ::write(input_.get(), line.data() + sent, line.size() - sent);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return Error::system("write to", name_, errno);
        sent += static_cast<size_t>(written);
    }
    return {};
}

Result<std::string> ServerProcess::next_line() {
    while (true) {
        if (const size_t end = read_.find('\n'); end != std::string::npos) {
            std::string line = read_.substr(0, end);
            read_.erase(0, end + 1);
            return line;
        }
        if (read_.size() > kDraftAnswerBytesMax) return Error::invalid(name_, "it writes a line that is too long for an answer");
        const int64_t left_ms = (deadline_ns_ - monotonic_ns()) / kNanosecondsPerMillisecond;
        pollfd waiting = {output_.get(), POLLIN, 0};
        const int ready = left_ms > 0 ? ::poll(&waiting, 1, static_cast<int>(left_ms)) : 0;
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) {
            return Error::invalid(
                name_, "no answer within " + std::to_string(kDraftTimeout.count() / 1000) + " s; is it an MCP server on stdio?");
        }
        char bytes[kReadBytes];
        const ssize_t got = ::read(output_.get(), bytes, sizeof(bytes));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return Error::system("read from", name_, errno);
        if (got == 0) return Error::invalid(name_, "it ended without an answer; is it an MCP server on stdio?");
        read_.append(bytes, static_cast<size_t>(got));
    }
}

Result<std::string> ServerProcess::ask(const nlohmann::json& request) {
    TRY_VOID(send(request.dump()));
    while (true) {
        const std::string line = TRY(next_line());
        std::string reply;
        if (answers(line, request["id"], reply)) return line;
        if (!reply.empty()) TRY_VOID(send(std::move(reply)));
    }
}

Status ServerProcess::tell(const nlohmann::json& notification) { return send(notification.dump()); }

ServerIdentity ServerProcess::identity() const {
    // Of "npx x" or "sh -c x" the pipe is read by a descendant; the deepest one that has it as its input is
    // the server.
    const cg_channel_key own = channel_of(::getpid(), input_.get()).channel;
    pid_t reader = pid_;
    int depth = 0;
    for (pid_t pid : all_processes()) {
        const int below = depth_below(pid, pid_);
        if (below <= depth || !(channel_of(pid, STDIN_FILENO).channel == own)) continue;
        reader = pid;
        depth = below;
    }
    Result<ServerIdentity> identity = identify_server(reader);
    return identity.ok() ? std::move(*identity) : ServerIdentity();
}

bool ServerProcess::wait_for_end() const {
    const int64_t end_ns = monotonic_ns() + kDraftEndTimeout.count() * kNanosecondsPerMillisecond;
    while (true) {
        pollfd waiting = {pidfd_.get(), POLLIN, 0};
        const int64_t left_ms = (end_ns - monotonic_ns()) / kNanosecondsPerMillisecond;
        const int ready = ::poll(&waiting, 1, static_cast<int>(std::max<int64_t>(left_ms, 0)));
        if (ready < 0 && errno == EINTR) continue;
        return ready > 0;
    }
}

void ServerProcess::end() {
    if (pid_ == 0) return;
    input_.reset();
    output_.reset();
    if (!wait_for_end()) {
        ::kill(-pid_, SIGTERM);
        if (!wait_for_end()) ::kill(-pid_, SIGKILL);
    }
    // What it started itself goes too. The group's number is taken as long as its leader is not waited for.
    ::kill(-pid_, SIGTERM);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
}

}  // namespace callgate
