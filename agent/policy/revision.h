// Which version of a file is in force: the first 16 hex digits of its SHA-256.
#pragma once
#include <string>
#include <string_view>

namespace callgate {

std::string revision_of(std::string_view text);

}  // namespace callgate
