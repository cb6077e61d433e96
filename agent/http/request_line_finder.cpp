#include "http/request_line_finder.h"

#include <algorithm>

#include "base/limits.h"
#include "http/characters.h"

namespace callgate {
namespace {

constexpr std::string_view kVersion = "http/";
constexpr std::string_view kBlanks = " \t\v\f\x1c\x1d\x1e\x1f\x85\xa0";

bool ends_line(char byte) { return byte == '\n' || byte == '\r'; }
bool splits(char byte) { return kBlanks.find(byte) != kBlanks.npos; }
bool is_capital(char byte) { return byte >= 'A' && byte <= 'Z'; }

}  // namespace

size_t RequestLineFinder::scan(std::string_view bytes) {
    for (size_t i = 0; i < bytes.size(); ++i) {
        if (place_ == Place::rest) {
            const std::string_view rest = bytes.substr(i);
            i += static_cast<size_t>(std::find_if(rest.begin(), rest.end(), ends_line) - rest.begin());
            if (i == bytes.size()) break;
        }
        if (ends_line(bytes[i])) {
            place_ = Place::start;
            continue;
        }
        step(bytes[i]);
        if (found(bytes[i])) return i;
    }
    return std::string_view::npos;
}

// After step(): does `byte` complete what is looked for?
bool RequestLineFinder::found(char byte) const {
    if (place_ == Place::version && matched_ == kVersion.size()) return true;
    return until_ == Until::target && place_ == Place::target && is_first_of_target_ && byte == '/';
}

void RequestLineFinder::step(char byte) {
    switch (place_) {
        case Place::start:
            if (splits(byte)) return;
            matched_ = 1;
            place_ = is_capital(byte) ? Place::method : Place::rest;
            return;
        case Place::method:
            if (splits(byte)) {
                place_ = Place::before_target;
            } else if (!is_capital(byte) || ++matched_ > kHttpMethodBytesMax) {
                place_ = Place::rest;
            }
            return;
        case Place::before_target:
            if (splits(byte)) return;
            place_ = Place::target;
            is_first_of_target_ = true;
            return;
        case Place::target:
            is_first_of_target_ = false;
            if (!splits(byte)) return;
            matched_ = 0;
            place_ = Place::version;
            return;
        case Place::version:
            if (splits(byte) && matched_ == 0) return;
            if (lower(byte) == kVersion[matched_]) {
                ++matched_;
            } else {
                place_ = Place::rest;
            }
            return;
        case Place::rest: return;
    }
}

bool RequestLineFinder::restore(const Saved& saved) {
    const auto place = static_cast<Place>(saved.place);
    const size_t most = place == Place::version ? kVersion.size() : kHttpMethodBytesMax + 1;
    if (saved.until > static_cast<uint8_t>(Until::target) || place > Place::rest || saved.matched > most) return false;
    until_ = static_cast<Until>(saved.until);
    place_ = place;
    matched_ = saved.matched;
    is_first_of_target_ = saved.is_first_of_target;
    return true;
}

}  // namespace callgate
