// A YAML text as the tree that json_document.h makes of JSON: every key and value knows its byte offset.
//
// Only what every reader of YAML reads alike: one document, UTF-8, keys that are texts and given once, plain
// scalars of yaml_scalar.h. Refused are anchors, aliases, tags, merge keys and directives. Same bounds as
// JSON; nothing is thrown.
//
//   a:\n  - true   ->  object, keys[0] = {"a", offset 0}, items[0] = array at 5, items[0].items[0] = true at
//   7
//
// libyaml reads; comments are not kept.
#pragma once
#include <optional>
#include <string_view>

#include "policy/json_document.h"

namespace callgate {

// The root value; nothing where the text is no YAML at all. Other mistakes are reported, and the tree
// returned.
std::optional<JsonValue> parse_yaml(std::string_view text, ProblemList& problems);

}  // namespace callgate
