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

void add_new(std::vector<std::string>& texts, std::string text) {
    if (std::find(texts.begin(), texts.end(), text) == texts.end()) texts.push_back(std::move(text));
}

bool is_blank_or_control(char byte) { return static_cast<unsigned char>(byte) <= ' ' || byte == 0x7f; }

// As it stands, and as servers read it that overlook blanks and control bytes, or that split off query and fragment only now.
void add_readings_of(const std::string& text, std::vector<std::string>& readings) {
    std::string bare = text;
    std::erase_if(bare, is_blank_or_control);
    for (const std::string& each : {text, bare}) {
        for (const size_t end : {std::string::npos, each.find_first_of("?#")})
            for (const Dots dots : {Dots::keep, Dots::resolve}) add_new(readings, normalized(each.substr(0, end), dots));
    }
}

void add_readings(std::string_view path, std::vector<std::string>& readings) {
    constexpr int kDecodings = 2;
    std::vector<std::string> texts{std::string(path)};
    for (int decoded = 0;; ++decoded) {
        for (const std::string& text : texts) add_readings_of(text, readings);
        if (decoded == kDecodings) return;
        std::vector<std::string> next;
        for (const std::string& text : texts) {
            add_new(next, percent_decoded(text));
            for (const Dots dots : {Dots::keep, Dots::resolve}) add_new(next, percent_decoded(normalized(text, dots)));
        }
        texts = std::move(next);
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
