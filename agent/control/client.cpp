// control_request(): the CLI's side of the control socket.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/fd.h"
#include "control/address.h"
#include "control/protocol.h"

namespace callgate {
namespace {

// Thousands of sessions are a few megabytes.
constexpr size_t kAnswerBytesMax = size_t{256} << 20;
constexpr size_t kReadBytesAtOnce = size_t{64} << 10;

Status wait_for(int fd, short events, int64_t deadline_ns, const std::string& path) {
    while (true) {
        const int64_t left_ms = (deadline_ns - monotonic_ns()) / 1'000'000;
        pollfd waiting = {fd, events, 0};
        const int ready = left_ms > 0 ? ::poll(&waiting, 1, static_cast<int>(left_ms)) : 0;
        if (ready > 0) return {};
        if (ready < 0 && errno == EINTR) continue;
        if (ready < 0) return Error::system("poll", path, errno);
        return Error{ErrorKind::limit, 0, "control socket " + path, "the agent did not answer in time"};
    }
}

Result<Fd> connect_to(const std::string& path, int64_t deadline_ns) {
    const sockaddr_un address = TRY(control_address(path));
    Fd fd = Fd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return Error::system("socket", path, errno);
    // EAGAIN: the agent's backlog is full.
    while (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        if (errno == EINTR) continue;
        if (errno != EAGAIN || monotonic_ns() > deadline_ns) return Error::system("connect", path, errno);
        ::poll(nullptr, 0, 10);
    }
    // Who listens there may have put their own in its place.
    ucred agent{};
    socklen_t length = sizeof(agent);
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &agent, &length) != 0) return Error::system("getsockopt", path, errno);
    if (agent.uid != 0 && agent.uid != ::geteuid())
        return Error::refused("control socket " + path, "user " + std::to_string(agent.uid) +
                                                            " answers there, which is no agent; look who has put it there");
    return fd;
}

Status send_all(int fd, std::string_view bytes, int64_t deadline_ns, const std::string& path) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent >= 0) {
            bytes.remove_prefix(static_cast<size_t>(sent));
        } else if (errno == EAGAIN) {
            TRY_VOID(wait_for(fd, POLLOUT, deadline_ns, path));
        } else if (errno == EPIPE) {
            return {};  // cut off; why stands in the answer
        } else if (errno != EINTR) {
            return Error::system("send", path, errno);
        }
    }
    return {};
}

Result<std::string> receive_line(int fd, int64_t deadline_ns, const std::string& path) {
    std::string line;
    char bytes[kReadBytesAtOnce];
    while (line.size() < kAnswerBytesMax) {
        const ssize_t got = ::recv(fd, bytes, sizeof(bytes), 0);
        if (got > 0) {
            line.append(bytes, static_cast<size_t>(got));
            const size_t end = line.find('\n', line.size() - static_cast<size_t>(got));
            if (end != std::string::npos) return line.substr(0, end);
        } else if (got == 0) {
            return Error{ErrorKind::gone, 0, "control socket " + path, "the agent closed the connection"};
        } else if (errno == EAGAIN) {
            TRY_VOID(wait_for(fd, POLLIN, deadline_ns, path));
        } else if (errno != EINTR) {
            return Error::system("recv", path, errno);
        }
    }
    return Error{ErrorKind::limit, 0, "control socket " + path, "the answer is longer than 256 MiB"};
}

}  // namespace

Result<nlohmann::json> control_request(const std::string& socket_path, const nlohmann::json& request, int timeout_ms) {
    const int64_t deadline_ns = monotonic_ns() + int64_t{timeout_ms} * 1'000'000;
    const Fd fd = TRY(connect_to(socket_path, deadline_ns));
    const std::string line = request.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    TRY_VOID(send_all(fd.get(), line, deadline_ns, socket_path));
    const std::string text = TRY(receive_line(fd.get(), deadline_ns, socket_path));
    nlohmann::json answer = nlohmann::json::parse(text, nullptr, false);
    const auto ok = answer.is_object() ? answer.find("ok") : answer.end();
    if (!answer.is_object() || ok == answer.end() || !ok->is_boolean()) {
        return Error::invalid("control socket " + socket_path, "the answer is not of the known form; is it callgate?");
    }
    if (ok->get<bool>()) return answer.contains("result") ? answer["result"] : nlohmann::json();
    const auto error = answer.find("error");
    return Error::refused("control socket " + socket_path,
                          error != answer.end() && error->is_string() ? error->get<std::string>() : "refused");
}

}  // namespace callgate
