// JSON-RPC ids: what every SDK reads alike, and the form in which a request and its response are matched.
//
//   `7` -> valid, key `i:7`      `"a\u0062"` -> valid, key `s:ab`      `1.0`, `-0`, `9007199254740992`,
//   `null` -> invalid
#pragma once
#include <string>
#include <string_view>

#include "jsonrpc/text.h"

namespace callgate {

// An integer within ±kIdIntegerMax, in plain digits.
bool is_valid_integer_id(std::string_view token);
// A sound string of at most kIdBytesMax bytes as written.
bool is_valid_string_id(const StringToken& token);
// An id as JSON, from its key (Message::id_key).
std::string id_of_key(std::string_view key);

}  // namespace callgate
