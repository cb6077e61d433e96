// ListenAddress: where a server listens, as a policy names it and as the kernel shows it.
//
//   "127.0.0.1:3000", "[::1]:3000"   one address          ":3000"   that port, on whatever address
//
// A server that listens on every address serves each of them: the policy "127.0.0.1:3000" covers a listener on
// "0.0.0.0:3000", and one on "[::]:3000", which takes IPv4 too.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace callgate {

class ListenAddress {
  public:
    // Nothing where the text is no such address; names of hosts are none.
    static std::optional<ListenAddress> parse(std::string_view text);
    // `listener` is where a server really listens.
    bool covers(const ListenAddress& listener) const;

  private:
    bool is_every_address() const;

    // IPv6, or IPv4 as ::ffff:a.b.c.d; without a value: any address.
    std::optional<std::array<uint8_t, 16>> address_;
    uint16_t port_ = 0;
    bool ipv4_ = false;
};

}  // namespace callgate
