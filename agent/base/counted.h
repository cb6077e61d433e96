// counted(1, "problem")  ->  "1 problem"      counted(2, "problem")  ->  "2 problems"
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace callgate {

inline std::string counted(size_t number, std::string_view noun) {
    return std::to_string(number).append(" ").append(noun).append(number == 1 ? "" : "s");
}

}  // namespace callgate
