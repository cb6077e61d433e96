// RequestLineFinder: where in a body, or in a tunnel, a line begins like a request of HTTP. A server that does not take the
// body for one (it knows no chunks, or leaves the body of a GET unread) would read on there.
//
//   scan("5\r\nhello\r\nPOST /mcp HTTP/1.1\r\n")  ->  24: everything before the '/' of the version
//   scan("127.0.0.1 \"POST /mcp HTTP/1.1\"\r\n")  ->  npos: no method at the start of the line
//   Until::target, "hello\r\nPOST /mcp\r\n"             ->  12: there are servers that do not look for the version
//
// Lines end as they do for any reader, white space splits as for any (Python's split), and it is three words or none.
// Invariant: the answers do not depend on how the stream was split. Holds no bytes.
#pragma once
#include <cstdint>
#include <string_view>

namespace callgate {

class RequestLineFinder {
  public:
    enum class Until : uint8_t { version, target };
    explicit RequestLineFinder(Until until = Until::version) : until_(until) {}

    // How many of the next bytes of the stream may go on: npos where all may. Not to be called again after a find.
    size_t scan(std::string_view bytes);

    // Where it is, for a finder in another process. restore(): false where that cannot be.
    struct Saved {
        uint8_t until = 0, place = 0, matched = 0;
        bool is_first_of_target = false;
        bool operator==(const Saved&) const = default;
    };
    Saved save() const { return {static_cast<uint8_t>(until_), static_cast<uint8_t>(place_), matched_, is_first_of_target_}; }
    bool restore(const Saved& saved);

  private:
    enum class Place : uint8_t { start, method, before_target, target, version, rest };
    void step(char byte);
    bool found(char byte) const;

    Until until_;
    Place place_ = Place::start;
    bool is_first_of_target_ = false;
    uint8_t matched_ = 0;  // of the method (how long it is), of the version
};

}  // namespace callgate
