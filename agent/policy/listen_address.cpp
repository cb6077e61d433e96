#include "policy/listen_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string>

namespace callgate {
namespace {

constexpr std::array<uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool is_mapped(const std::array<uint8_t, 16>& address) { return std::equal(kMapped.begin(), kMapped.end(), address.begin()); }

std::optional<uint16_t> parse_port(std::string_view text) {
    uint16_t port = 0;
    const auto [past, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || past != text.data() + text.size() || port == 0) return std::nullopt;
    return port;
}

}  // namespace

std::optional<ListenAddress> ListenAddress::parse(std::string_view text) {
    const size_t colon = text.rfind(':');
    if (colon == text.npos) return std::nullopt;
    const std::optional<uint16_t> port = parse_port(text.substr(colon + 1));
    if (!port) return std::nullopt;
    ListenAddress made;
    made.port_ = *port;
    std::string host(text.substr(0, colon));
    if (host.empty()) return made;
    std::array<uint8_t, 16> bytes{};
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
        if (inet_pton(AF_INET6, host.c_str(), bytes.data()) != 1) return std::nullopt;
        made.ipv4_ = is_mapped(bytes);
    } else {
        std::copy(kMapped.begin(), kMapped.end(), bytes.begin());
        if (inet_pton(AF_INET, host.c_str(), bytes.data() + kMapped.size()) != 1) return std::nullopt;
        made.ipv4_ = true;
    }
    made.address_ = bytes;
    return made;
}

bool ListenAddress::is_every_address() const {
    if (!address_) return true;
    const size_t from = ipv4_ ? kMapped.size() : 0;
    return std::all_of(address_->begin() + from, address_->end(), [](uint8_t byte) { return byte == 0; });
}

bool ListenAddress::covers(const ListenAddress& listener) const {
    if (port_ != listener.port_) return false;
    if (!address_ || address_ == listener.address_) return true;
    return listener.is_every_address() && (ipv4_ || !listener.ipv4_);
}

}  // namespace callgate
