// How the body of a message ends (RFC 9112 §6.3), where there is exactly one way to read it.
//
//   Content-Length: 5              ->  {length, 5}
//   Transfer-Encoding: chunked     ->  {chunked}
//   a request with neither         ->  {none}         a response with neither  ->  {until_close}
//   both, a list, a repetition, …  ->  HttpRefusal
#pragma once
#include <cstdint>

#include "http/fields.h"
#include "http/refusal.h"

namespace callgate {

struct BodyFraming {
    enum class Kind : uint8_t {
        none,
        length,
        chunked,
        until_close,  // responses only
        tunnel,       // responses only: 101, or 2xx to CONNECT: what follows is no HTTP, both ways
    };
    Kind kind = Kind::none;
    uint64_t length = 0;  // where kind is length

    bool operator==(const BodyFraming&) const = default;
};

}  // namespace callgate
