// Call: what is judged.
#pragma once
#include <string_view>

namespace callgate {

struct Call {
    std::string_view name;            // of the tool
    std::string_view arguments = {};  // a JSON object of a message that was parsed; "" where there is none, as if it were {}
    std::string_view params = {};     // the same, of the whole message that it comes in
    bool has_clear_name = true;       // else some servers may find another name than others
    std::string_view own_name = {};   // of the tool that `name` is another name of; "" where it is none
};

}  // namespace callgate
