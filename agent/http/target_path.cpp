#include "http/target_path.h"

#include <algorithm>

#include "http/characters.h"

namespace callgate {
namespace {

enum class Dots : uint8_t { keep, resolve };

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

std::string normalized(std::string_view path, Dots dots) {
    std::string text(path);
    for (char& byte : text) byte = byte == '\\' ? '/' : lower(byte);
    std::string out;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('/', at), text.size());
        std::string_view segment(text.data() + at, end - at);
        segment = segment.substr(0, segment.find(';'));
        at = end + 1;
        if (segment.empty() || segment == ".") continue;
        if (segment == ".." && dots == Dots::resolve) {
            out.resize(out.empty() ? 0 : out.rfind('/'));
            continue;
        }
        out.append("/").append(segment);
    }
    return out.empty() ? "/" : out;
}

void add_readings(std::string_view path, std::vector<std::string>& readings) {
    constexpr int kDecodings = 2;
    const auto add_with_dots_resolved = [&](size_t from) {
        for (size_t i = from, end = readings.size(); i < end; ++i) readings.push_back(normalized(readings[i], Dots::resolve));
    };
    size_t from = readings.size();
    readings.push_back(normalized(path, Dots::keep));
    add_with_dots_resolved(from);
    for (int i = 0; i < kDecodings; ++i) {
        const size_t end = readings.size();
        for (size_t each = from; each < end; ++each) readings.push_back(normalized(percent_decoded(readings[each]), Dots::keep));
        from = end;
        add_with_dots_resolved(from);
    }
}

}  // namespace

std::string loosest_path(std::string_view path) { return normalized(percent_decoded(percent_decoded(path)), Dots::resolve); }

std::vector<std::string> path_readings(std::string_view path) {
    std::vector<std::string> readings;
    add_readings(path, readings);
    if (!path.starts_with("//")) return readings;
    const size_t host = std::min(path.find_first_not_of('/'), path.size());
    const size_t after_host = path.find('/', host);
    add_readings(after_host == std::string_view::npos ? std::string_view() : path.substr(after_host), readings);
    return readings;
}

bool may_reach(std::string_view path, std::string_view wanted) {
    const std::string goal = loosest_path(wanted);
    if (goal == "/") return true;
    const std::vector<std::string> readings = path_readings(path);
    return std::any_of(readings.begin(), readings.end(), [&](const std::string& reading) {
        return reading.starts_with(goal) && (reading.size() == goal.size() || reading[goal.size()] == '/');
    });
}

}  // namespace callgate
