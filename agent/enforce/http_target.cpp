#include "enforce/http_target.h"

namespace callgate {
namespace {

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kBlank = " \t\r\n";
    const size_t from = text.find_first_not_of(kBlank);
    if (from == text.npos) return {};
    return text.substr(from, text.find_last_not_of(kBlank) - from + 1);
}

// From the path on, of "//authority/path?query".
std::string after_authority(std::string_view text) {
    const size_t path = text.find_first_of("/?", 2);
    if (path == text.npos) return "/";
    const std::string rest(text.substr(path));
    return rest.front() == '?' ? "/" + rest : rest;
}

}  // namespace

std::string origin_target(const RequestHead& head) {
    std::string target(head.path);
    if (head.query.data() != nullptr) target.append("?").append(head.query);
    return target;
}

std::string resolve_target(std::string_view base, std::string_view reference) {
    reference = trimmed(reference);
    reference = reference.substr(0, reference.find('#'));
    const std::string_view base_path = base.substr(0, base.find('?'));
    if (reference.empty()) return std::string(base);
    const size_t scheme = reference.find("://");
    if (scheme != reference.npos && scheme < reference.find_first_of("/?")) return after_authority(reference.substr(scheme + 1));
    if (reference.starts_with("//")) return after_authority(reference);
    if (reference.front() == '/') return std::string(reference);
    if (reference.front() == '?') return std::string(base_path).append(reference);
    while (reference.starts_with("./")) reference.remove_prefix(2);
    return std::string(base_path.substr(0, base_path.rfind('/') + 1)).append(reference);
}

}  // namespace callgate
