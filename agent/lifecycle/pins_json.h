// What the CLI is told of pinned tools, and asks to be done with them.
//
//   {"policy":"notes","server":"npm:notes","tool":"echo","state":"pinned"|"changed","hash":"…","since":"2026-…",
//    "bytes":812,"changed":{"hash":"…","since":"…","bytes":820}}, and with their definitions "text", "text_bytes": how much of
//    "bytes" is kept; the same in "changed"
#pragma once
#include <nlohmann/json_fwd.hpp>

#include "policy/pins.h"

namespace callgate {

// {"pins":[…],"total":N}: the first kPinsListedMax. `request.only`: {"policy","server","tool"}, what is absent matches all;
// `request.text`: true: with definitions.
nlohmann::json pins_json(const PinTable& table, const nlohmann::json& request);
// `request.pins`: [{"policy","server","tool","hash"}]; accept only what still has this hash. {"done":N}
nlohmann::json accept_pins(PinTable& table, const nlohmann::json& request, std::vector<PinKey>& done);
nlohmann::json reset_pins(PinTable& table, const nlohmann::json& request, std::vector<PinKey>& done);

}  // namespace callgate
