#include "policy/webhook_url.h"

#include <algorithm>

namespace callgate {

std::string webhook_url_problem(std::string_view url) {
    constexpr size_t kUrlBytesMax = 2048;
    if (url.size() > kUrlBytesMax) return "longer than " + std::to_string(kUrlBytesMax) + " bytes";
    const bool is_plain = std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < 0x7f; });
    const size_t scheme = url.starts_with("https://") ? 8 : url.starts_with("http://") ? 7 : 0;
    if (is_plain && scheme > 0) {
        const std::string_view rest = url.substr(scheme);
        const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
        if (authority.find('@') != authority.npos) {
            return "must not have a user name or a password in it, which would stand in records and lists; that a delivery is ours the "
                   "receiver knows by its signature";
        }
        const size_t colon = authority.ends_with(']') ? authority.npos : authority.rfind(':');
        const std::string_view host = authority.substr(0, colon);
        if (scheme == 8 ? !host.empty() : host == "localhost" || host == "127.0.0.1" || host == "[::1]") return {};
    }
    return "expected an address that begins with https:// (http:// only to localhost, 127.0.0.1 or [::1])";
}

}  // namespace callgate
