#include "jsonrpc/lenient_method.h"

#include <algorithm>
#include <string>

#include "base/limits.h"
#include "jsonrpc/text.h"

namespace callgate {
namespace {

constexpr std::string_view kKey = "method";
// As \u escapes a name is six times as long; a longer one is no name to MessageParser either.
constexpr size_t kWrittenNameBytesMax = 6 * kNameBytesMax;

bool is_blank(char c) { return static_cast<unsigned char>(c) <= ' '; }
bool is_quote(char c) { return c == '"' || c == '\''; }

class MethodFinder {
  public:
    MethodFinder(std::string_view text, const std::function<bool(std::optional<std::string_view>)>& is_meant)
        : text_(text), is_meant_(is_meant) {}

    bool any() {
        for (size_t at = text_.find_first_of("mM\\"); at != text_.npos; at = text_.find_first_of("mM\\", at + 1)) {
            if (const size_t past = key_at(at); past != 0 && is_method(at, past)) return true;
        }
        return false;
    }

  private:
    // The character that is written at `at`, as itself or as an escape, and where the next one begins.
    uint32_t character(size_t at, size_t& next) const {
        if (text_.substr(at, 2) == "\\u" && at + 6 <= text_.size()) {
            if (const int code = hex4(text_.data() + at + 2); code >= 0) {
                next = at + 6;
                return static_cast<uint32_t>(code);
            }
        }
        next = at + 1;
        return static_cast<unsigned char>(text_[at]);
    }
    // Where the key ends that begins at `at`, and any NULs behind it; 0 where there is none.
    size_t key_at(size_t at) const {
        size_t next = at;
        for (const char wanted : kKey) {
            if (at == text_.size()) return 0;
            const uint32_t code = character(at, next);
            if (code > 0x7f || (static_cast<char>(code) | 0x20) != wanted) return 0;
            at = next;
        }
        while (at < text_.size() && character(at, next) == 0) at = next;
        return at;
    }
    size_t skip_blanks(size_t at) const {
        while (at < text_.size() && is_blank(text_[at])) ++at;
        return at;
    }
    bool follows_brace_or_comma(size_t at) const {
        while (at > 0 && is_blank(text_[at - 1])) --at;
        return at > 0 && (text_[at - 1] == '{' || text_[at - 1] == ',');
    }
    bool is_method(size_t begin, size_t past) {
        const char before = begin > 0 ? text_[begin - 1] : ' ';
        if (is_quote(before)) {
            if (past == text_.size() || text_[past] != before) return false;
            ++past;
        } else if (!follows_brace_or_comma(begin)) {
            return false;
        }
        past = skip_blanks(past);
        if (past == text_.size()) return is_meant_(std::nullopt);
        if (text_[past] != ':') return false;
        past = skip_blanks(past + 1);
        if (past == text_.size()) return is_meant_(std::nullopt);
        return is_quote(text_[past]) ? is_quoted_name(past + 1, text_[past]) : is_bare_name(past);
    }
    bool is_quoted_name(size_t begin, char quote) {
        size_t end = begin;
        while (end < text_.size() && text_[end] != quote && end - begin <= kWrittenNameBytesMax) {
            end += text_[end] == '\\' ? 2 : 1;
        }
        if (end >= text_.size() || text_[end] != quote) return is_meant_(std::nullopt);
        return is_name(begin, end);
    }
    // None that is read without quotes has a bracket, a quote or a colon in it: it would be looked through again from each.
    bool is_bare_name(size_t begin) {
        constexpr std::string_view kOtherValues = "{[-0123456789";
        if (kOtherValues.find(text_[begin]) != kOtherValues.npos) return false;
        const size_t end = text_.substr(0, begin + kWrittenNameBytesMax).find_first_of(",:{}[]\"' \t\r\n", begin);
        return is_name(begin, end == text_.npos ? std::min(text_.size(), begin + kWrittenNameBytesMax) : end);
    }
    bool is_name(size_t begin, size_t end) {
        name_.clear();
        append_decoded(name_, text_.substr(begin, end - begin));
        return is_meant_(name_);
    }

    std::string_view text_;
    const std::function<bool(std::optional<std::string_view>)>& is_meant_;
    std::string name_;
};

}  // namespace

bool any_lenient_method(std::string_view text, const std::function<bool(std::optional<std::string_view>)>& is_meant) {
    return MethodFinder(text, is_meant).any();
}

bool any_lenient_text(std::string_view text, const std::function<bool(std::string_view)>& is_meant) {
    std::string decoded;
    for (size_t at = text.find_first_of("\"'"); at != text.npos; at = text.find_first_of("\"'", at + 1)) {
        const std::string_view rest = text.substr(at + 1, kWrittenNameBytesMax);
        const size_t end = rest.find(text[at]);
        if (end == rest.npos) continue;
        decoded.clear();
        append_decoded(decoded, rest.substr(0, end));
        if (is_meant(decoded)) return true;
    }
    return false;
}

}  // namespace callgate
