// inflate_bounded: decodes a gzip or deflate body that is in memory, never to more than it is allowed to.
//
//   inflate_bounded(ContentCoding::gzip, body, 64 << 20)  ->  the JSON text, or an Error (not gzip, truncated, bytes
//   after its end or a second member, longer than the limit)
//
// "deflate" is the zlib format (RFC 9110 §8.4.1.2); the raw one that some clients send is not guessed at.
#pragma once
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/media_type.h"

namespace callgate {

Result<std::string> inflate_bounded(ContentCoding coding, std::string_view body, size_t bytes_max);

}  // namespace callgate
