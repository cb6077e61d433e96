#include "http/media_type.h"

#include <algorithm>
#include <utility>

#include "http/characters.h"

namespace callgate {
namespace {

constexpr int kWeightOne = 1000;
constexpr std::string_view kCharset = "charset";

// A parameter, its value without quotes where they hold no backslash.
struct Parameter {
    std::string_view name, value;
};

// Takes ";name=value" off `text` (RFC 9110 §5.6.6; an empty parameter is allowed). False where it is malformed.
bool take_parameter(std::string_view& text, Parameter& parameter) {
    text.remove_prefix(1);
    text = trimmed(text);
    parameter = {};
    if (text.empty() || text.front() == ';') return true;
    const size_t name_end = std::min(text.find_first_of("=;"), text.size());
    parameter.name = text.substr(0, name_end);
    if (!is_token(parameter.name) || name_end == text.size() || text[name_end] != '=') return false;
    text.remove_prefix(name_end + 1);
    if (text.starts_with('"')) {
        const size_t close = text.find_first_of("\"\\", 1);
        if (close == std::string_view::npos || text[close] == '\\') return false;
        parameter.value = text.substr(1, close - 1);
        text = trimmed(text.substr(close + 1));
        return text.empty() || text.front() == ';';
    }
    const size_t value_end = std::min(text.find(';'), text.size());
    parameter.value = trimmed(text.substr(0, value_end));
    text.remove_prefix(value_end);
    return is_token(parameter.value);
}

// The type before any parameter; `text` is left with those.
bool take_type(std::string_view& text, std::string_view& type, std::string_view& subtype) {
    text = trimmed(text);
    const size_t end = std::min(text.find(';'), text.size());
    const std::string_view essence = trimmed(text.substr(0, end));
    text.remove_prefix(end);
    const size_t slash = essence.find('/');
    if (slash == std::string_view::npos) return false;
    type = essence.substr(0, slash);
    subtype = essence.substr(slash + 1);
    return is_token(type) && is_token(subtype);
}

// "0.5" -> 500; -1 where it is no weight (RFC 9110 §12.4.2).
int read_weight(std::string_view text) {
    if (text.empty() || (text[0] != '0' && text[0] != '1') || text.size() > 5) return -1;
    int weight = (text[0] - '0') * kWeightOne, place = kWeightOne;
    if (text.size() > 1 && text[1] != '.') return -1;
    for (const char digit : text.substr(std::min<size_t>(2, text.size()))) {
        if (!is_digit(digit)) return -1;
        place /= 10;
        weight += (digit - '0') * place;
    }
    return weight <= kWeightOne ? weight : -1;
}

// How well one range of an Accept field fits: 0 not at all, 1 "*/*", 2 "type/*", 3 "type/subtype".
int read_range(std::string_view range, std::string_view wanted_type, std::string_view wanted_subtype, int& weight) {
    std::string_view type, subtype;
    if (!take_type(range, type, subtype)) return 0;
    weight = kWeightOne;
    while (!range.empty()) {
        Parameter parameter;
        if (!take_parameter(range, parameter)) return 0;
        // Parameters of the media type itself ("profile=x") do not make the range fit less: no server of MCP looks.
        if (equal_ignoring_case(parameter.name, "q")) weight = read_weight(parameter.value);
    }
    if (weight < 0) return 0;
    if (type == "*") return subtype == "*" ? 1 : 0;
    if (!equal_ignoring_case(type, wanted_type)) return 0;
    if (subtype == "*") return 2;
    return equal_ignoring_case(subtype, wanted_subtype) ? 3 : 0;
}

// The decision of the most specific range so far.
struct Best {
    int fit = 0, weight = 0;
};

void read_accept(std::string_view value, std::string_view wanted, Best& best) {
    const size_t slash = std::min(wanted.find('/'), wanted.size());
    const std::string_view type = wanted.substr(0, slash), subtype = wanted.substr(std::min(slash + 1, wanted.size()));
    std::string_view list = value;
    for (std::string_view range; next_element(list, range);) {
        int weight = 0;
        const int fit = read_range(range, type, subtype, weight);
        if (fit > best.fit)
            best = {fit, weight};
        else if (fit > 0 && fit == best.fit)
            best.weight = std::max(best.weight, weight);
    }
}

}  // namespace

bool ContentType::is(std::string_view wanted) const {
    const size_t slash = std::min(wanted.find('/'), wanted.size());
    return slash < wanted.size() && equal_ignoring_case(type, wanted.substr(0, slash)) &&
           equal_ignoring_case(subtype, wanted.substr(slash + 1));
}

bool ContentType::is_json() const {
    constexpr std::string_view kSuffix = "+json";
    if (is("application/json")) return true;
    return subtype.size() > kSuffix.size() && equal_ignoring_case(subtype.substr(subtype.size() - kSuffix.size()), kSuffix);
}

bool ContentType::is_utf8() const {
    return charset.empty() || equal_ignoring_case(charset, "utf-8") || equal_ignoring_case(charset, "utf8");
}

bool ContentType::is_ascii_superset() const {
    constexpr std::string_view kFamilies[] = {"iso-8859-", "windows-125", "koi8-", "euc-"};
    constexpr std::string_view kNames[] = {"us-ascii", "ascii", "latin1", "shift_jis", "gb2312", "gbk", "gb18030", "big5"};
    const auto is_name = [&](std::string_view known) { return equal_ignoring_case(charset, known); };
    const auto is_family = [&](std::string_view known) { return equal_ignoring_case(charset.substr(0, known.size()), known); };
    return is_utf8() || std::any_of(std::begin(kNames), std::end(kNames), is_name) ||
           std::any_of(std::begin(kFamilies), std::end(kFamilies), is_family);
}

std::optional<ContentType> parse_content_type(std::string_view value) {
    ContentType found;
    if (!take_type(value, found.type, found.subtype)) return {};
    bool has_charset = false;
    while (!value.empty()) {
        Parameter parameter;
        if (!take_parameter(value, parameter)) return {};
        // Readers of e-mail put "charset*" (RFC 2231) together.
        if (equal_ignoring_case(parameter.name.substr(0, kCharset.size() + 1), "charset*")) return {};
        if (!equal_ignoring_case(parameter.name, kCharset)) continue;
        if (std::exchange(has_charset, true) || !is_token(parameter.value)) return {};
        found.charset = parameter.value;
    }
    return found;
}

bool accepts(std::string_view accept_value, std::string_view type) {
    Best best;
    read_accept(accept_value, type, best);
    return best.weight > 0;
}

bool accepts(const Fields& fields, std::string_view type) {
    if (!fields.has(KnownField::accept)) return true;
    Best best;
    for (const Field& field : fields.all()) {
        if (field.known == KnownField::accept) read_accept(field.value, type, best);
    }
    return best.weight > 0;
}

ContentCoding content_coding(const Fields& fields) {
    ContentCoding coding = ContentCoding::identity;
    for (const Field& field : fields.all()) {
        if (field.known != KnownField::content_encoding) continue;
        std::string_view list = field.value;
        for (std::string_view element; next_element(list, element);) {
            if (element.empty() || equal_ignoring_case(element, "identity")) continue;
            if (coding != ContentCoding::identity) return ContentCoding::other;
            const bool gzip = equal_ignoring_case(element, "gzip") || equal_ignoring_case(element, "x-gzip");
            const bool deflate = equal_ignoring_case(element, "deflate");
            coding = gzip ? ContentCoding::gzip : deflate ? ContentCoding::deflate : ContentCoding::other;
        }
    }
    return coding;
}

}  // namespace callgate
