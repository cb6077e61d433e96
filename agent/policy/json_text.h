// A tree as JSON text for people: what fits into a line stands in one, everything else is indented by two.
// Numbers are written as they were read; the text ends with LF.
//
//   {"a": [1, 1.50], "b": "…"}
#pragma once
#include <string>

#include "policy/json_document.h"

namespace callgate {

std::string json_text(const JsonValue& value);

}  // namespace callgate
