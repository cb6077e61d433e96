// The secret that webhooks are signed with, and the signature.
//
//   X-Callgate-Signature: t=1764366000,v1=<64 hex digits>    HMAC-SHA256(secret, "1764366000." + the body)
//
// Whoever receives it computes the same over the body's bytes as they came, compares in constant time, and takes nothing
// that is older than some minutes.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace callgate {

// The file's bytes without the white space at their end: 16 to 4096, readable by its owner only. `make`: a new one, 64 hex
// digits, where there is none.
Result<std::string> read_webhook_secret(const std::string& path, bool make);
// What that would say of the file as it is; none is made.
Status check_webhook_secret(const std::string& path, bool make);
std::string webhook_signature(std::string_view secret, int64_t time_s, std::string_view body);

}  // namespace callgate
