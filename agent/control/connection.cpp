#include "control/connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <fstream>

namespace callgate {
namespace {

using nlohmann::json;

std::string line_of(const json& answer) { return answer.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"; }

std::string error_line(const std::string& error) { return line_of(json{{"ok", false}, {"error", error}}); }

std::string list_of(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
    return text;
}

// Who logged in, whatever su(1) and sudo(8) made of him since; -1 where nobody did, or the kernel does not keep it.
int64_t login_uid(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/loginuid");
    int64_t uid = -1;
    if (!(file >> uid) || uid == UINT32_MAX) return -1;
    return uid;
}

}  // namespace

std::string answer_control_line(const std::string& line, const std::vector<std::string>& verbs,
                                const ControlServer::Handler& handler, const json& peer) {
    json request = json::parse(line, nullptr, false);
    const auto verb = request.is_object() ? request.find("verb") : request.end();
    if (!request.is_object() || verb == request.end() || !verb->is_string()) {
        return error_line("a request is one JSON object on one line, with a string \"verb\"");
    }
    const std::string name = verb->get<std::string>();
    if (std::find(verbs.begin(), verbs.end(), name) == verbs.end()) {
        return error_line("unknown verb \"" + name + "\" (known: " + list_of(verbs) + ")");
    }
    request["peer"] = peer;
    try {
        return line_of(json{{"ok", true}, {"result", handler(request)}});
    } catch (const std::exception& problem) {
        // A bug of ours; it must not end the thread that everyone's status comes from.
        return error_line(std::string("internal error: ") + problem.what());
    }
}

ControlConnection::ControlConnection(Fd fd, int64_t now_ns) : fd_(std::move(fd)), active_ns_(now_ns) { check_peer(); }

void ControlConnection::check_peer() {
    ucred peer = {};
    socklen_t size = sizeof(peer);
    if (::getsockopt(fd_.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        is_finished_ = true;
    } else if (peer.uid != 0 && peer.uid != ::geteuid()) {
        refuse("not permitted: only root and the agent's own user may ask; you are user " + std::to_string(peer.uid));
    }
    peer_ = {{"uid", peer.uid}, {"pid", peer.pid}, {"login_uid", login_uid(peer.pid)}};
}

void ControlConnection::refuse(const std::string& error) {
    output_ = error_line(error);
    sent_ = 0;
    is_closing_ = true;
}

short ControlConnection::events() const { return output_.empty() ? POLLIN : POLLOUT; }

void ControlConnection::receive(int64_t now_ns) {
    char bytes[4096];
    while (input_.find('\n') == std::string::npos && input_.size() <= kControlRequestBytesMax) {
        const ssize_t got = ::recv(fd_.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) {
            is_finished_ = true;
            return;
        }
        active_ns_ = now_ns;
        input_.append(bytes, static_cast<size_t>(got));
    }
}

void ControlConnection::send(int64_t now_ns) {
    while (sent_ < output_.size()) {
        const ssize_t sent = ::send(fd_.get(), output_.data() + sent_, output_.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && errno == EAGAIN) return;
        if (sent < 0) {
            is_finished_ = true;
            return;
        }
        active_ns_ = now_ns;
        sent_ += static_cast<size_t>(sent);
    }
    std::string().swap(output_);  // an answer can be large; it is not kept
    sent_ = 0;
    if (is_closing_) is_finished_ = true;
}

void ControlConnection::advance(const std::vector<std::string>& verbs, const ControlServer::Handler& handler, int64_t now_ns) {
    if (output_.empty()) {
        receive(now_ns);
        const size_t end = input_.find('\n');
        if (end != std::string::npos && end <= kControlRequestBytesMax) {
            output_ = answer_control_line(input_.substr(0, end), verbs, handler, peer_);
            input_.erase(0, end + 1);
        } else if (input_.size() > kControlRequestBytesMax) {
            refuse("the request is longer than " + std::to_string(kControlRequestBytesMax) + " bytes");
        }
    }
    if (!output_.empty()) send(now_ns);
}

}  // namespace callgate
