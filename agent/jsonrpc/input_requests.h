// What a server asks of its client within a result (MCP 2026-07-28: "resultType":"input_required", SEP-2322).
//
//   {"inputRequests":{"a":{"method":"sampling/createMessage","params":{}}}}   ->   asked, requests {"method":…}
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace callgate {

struct InputRequests {
    // unclear: under "InputRequests" and the like, or nothing that has a method; readers may differ in what is asked.
    enum class Kind : uint8_t { none, asked, unclear };
    Kind kind = Kind::none;
    std::vector<std::string_view> requests;  // raw objects within the result
};

// `result`: the raw value, which MessageParser has read.
InputRequests read_input_requests(std::string_view result);

}  // namespace callgate
