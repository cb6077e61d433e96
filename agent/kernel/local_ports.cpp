#include "kernel/local_ports.h"

#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <random>
#include <utility>

namespace callgate {
namespace {

constexpr int kDefaultFirst = 32768, kDefaultLast = 60999;
constexpr size_t kTriesMax = 1024;

int next_number(std::string_view& text) {
    size_t digit = text.find_first_of("0123456789");
    int number = -1;
    if (digit == text.npos) return number;
    auto [end, error] = std::from_chars(text.data() + digit, text.data() + text.size(), number);
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    return error == std::errc() ? number : -1;
}

std::vector<std::pair<int, int>> ranges_of(std::string_view text) {
    std::vector<std::pair<int, int>> ranges;
    for (int first; (first = next_number(text)) >= 0;) {
        int last = first;
        if (!text.empty() && text.front() == '-') last = next_number(text);
        ranges.emplace_back(first, last);
    }
    return ranges;
}

}  // namespace

LocalPorts::LocalPorts(std::string_view range, std::string_view reserved) {
    int first = next_number(range), last = next_number(range);
    if (first < 1 || last > UINT16_MAX || first > last) {
        first = kDefaultFirst;
        last = kDefaultLast;
    }
    auto kept = ranges_of(reserved);
    for (int parity : {1, 0})
        for (int port = first; port <= last; ++port) {
            bool is_reserved =
                std::any_of(kept.begin(), kept.end(), [&](auto& each) { return each.first <= port && port <= each.second; });
            if (port % 2 == parity && !is_reserved) ports_.push_back(static_cast<uint16_t>(port));
        }
    in_turn_ = std::min(kInTurnAtFirst, ports_.size());
    // A predecessor's last ports are the ones that cannot be had yet.
    if (in_turn_) next_ = std::random_device{}() % in_turn_;
}

uint16_t LocalPorts::next_in_turn() {
    const uint16_t port = ports_[next_];
    next_ = (next_ + 1) % in_turn_;
    return port;
}

Result<uint16_t> LocalPorts::bind(int socket, const SocketAddress& server, Choice choice) {
    int one = 1;
    if (setsockopt(socket, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)))
        return Error::system("setsockopt", "SO_REUSEPORT", errno);
    int error = EADDRINUSE;
    for (size_t tries = std::min(kTriesMax, ports_.size()); tries && error == EADDRINUSE; --tries) {
        const bool fresh = choice == Choice::fresh && in_turn_ < ports_.size();
        const uint16_t port = fresh ? ports_[in_turn_++] : next_in_turn();
        if (port == server.port()) continue;  // the socket would be connected with itself (RFC 9293 section 3.5)
        SocketAddress own = server.with_port(port);
        if (::bind(socket, own.raw(), own.raw_length()) == 0) return port;
        error = errno;
        choice = Choice::fresh;
    }
    return Error::system("bind", server.with_port(0).text(), error);
}

}  // namespace callgate
