#include "http/target_path.h"

#include <algorithm>

#include "http/characters.h"

namespace callgate {
namespace {

std::string percent_decoded(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        const int high = text[i] == '%' && i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
        const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
        if (low >= 0) i += 2;
        out.push_back(low >= 0 ? static_cast<char>(high * 16 + low) : text[i]);
    }
    return out;
}

}  // namespace

std::string loosest_path(std::string_view path) {
    std::string text = percent_decoded(percent_decoded(path));
    for (char& byte : text) byte = byte == '\\' ? '/' : lower(byte);
    std::string out;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('/', at), text.size());
        std::string_view segment(text.data() + at, end - at);
        segment = segment.substr(0, segment.find(';'));
        at = end + 1;
        if (segment.empty() || segment == ".") continue;
        if (segment == "..") {
            out.resize(out.empty() ? 0 : out.rfind('/'));
            continue;
        }
        out.append("/").append(segment);
    }
    return out.empty() ? "/" : out;
}

bool may_reach(std::string_view path, std::string_view wanted) {
    const std::string goal = loosest_path(wanted);
    if (loosest_path(path) == goal) return true;
    if (!path.starts_with("//")) return false;
    const size_t after_host = path.find('/', 2);
    return loosest_path(after_host == std::string_view::npos ? std::string_view() : path.substr(after_host)) == goal;
}

}  // namespace callgate
