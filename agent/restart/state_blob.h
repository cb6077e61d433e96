// A state blob: what one agent writes for the next, in a sealed memfd. The frame around it never changes, so
// that every version can tell a state that it cannot read from one that is damaged.
//
//   offset  bytes
//        0      8  "CGSTATE\n"
//        8      4  format (little endian)
//       12      4  0
//       16      8  length of the payload
//       24      8  FNV-1a of the payload
//       32      …  payload: one CBOR map
//
//   decode_state(encode_state({{"id", "01J…"}}))  ->  {"id": "01J…"}
//   decode_state(blob of format 3)                ->  "state: format 3 is newer than …"
//
// A reader ignores members that it does not know and takes a default for those that are absent. So only a
// change that an older agent would get wrong raises kStateFormat; a newer agent reads every format down to 1. Each state is
// written in the lowest format that its readers need: an agent of format 1 goes on with the sessions that it knows.
#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace callgate {

// 1: sessions on stdio. 2: connections over HTTP (http_state.h). 3: either, where a session on lines was shown pinned tools, or
// one over HTTP was shown more of them than it remembers.
inline constexpr uint32_t kStateFormat = 3;
inline constexpr uint32_t kSessionStateFormat = 1;
inline constexpr uint32_t kPinsStateFormat = 3;

std::string encode_state(const nlohmann::json& state, uint32_t format = kSessionStateFormat);
// An object; ErrorKind::refused where the format is newer, ErrorKind::invalid_input where it is no whole
// blob.
Result<nlohmann::json> decode_state(std::string_view blob);

// The same in a memfd that nobody can change or shorten any more.
Result<Fd> write_state(const nlohmann::json& state, uint32_t format = kSessionStateFormat);
Result<nlohmann::json> read_state(const Fd& memory);

}  // namespace callgate
