#include "policy/webhook_url.h"

#include <algorithm>

namespace callgate {

std::string webhook_url_problem(std::string_view url) {
    constexpr size_t kUrlBytesMax = 2048;
    if (url.size() > kUrlBytesMax) return "longer than " + std::to_string(kUrlBytesMax) + " bytes";
    const bool is_plain = std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (is_plain && url.starts_with("https://") && url.size() > 8) return {};
    if (is_plain && url.starts_with("http://")) {
        const std::string_view rest = url.substr(7);
        const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
        const size_t colon = authority.ends_with(']') ? authority.npos : authority.rfind(':');
        const std::string_view host = authority.substr(0, colon);
        if (authority.find('@') != authority.npos) return "must not have a user name in it";
        if (host == "localhost" || host == "127.0.0.1" || host == "[::1]") return {};
    }
    return "expected an address that begins with https:// (http:// only to localhost, 127.0.0.1 or [::1])";
}

}  // namespace callgate
