// Scanner: the tokens of RFC 8259 on one line, strictly. Each function takes the position of a token and
// returns the position after it, or nullptr when the line cannot be read on.
//
// Two severities. note(): the frame is refused, but it can still be read on, so that its id is found. fail():
// what follows cannot be known. The first of either names the refusal.
//
//   Scanner scanner("  true\n");  scanner.literal(scanner.space(scanner.begin()))  ->  scanner.end()
#pragma once
#include <cstddef>
#include <cstring>
#include <string_view>

#include "jsonrpc/refusal.h"
#include "jsonrpc/text.h"

namespace callgate {

// Where the text comes from. On a line a CR is no white space: some readers end the line there. A document, such as the
// body of an HTTP request, has its length from elsewhere, so a CR between tokens means the same to all of them.
enum class JsonText : uint8_t { line, document };

class Scanner {
  public:
    // `line` may end with LF or CR LF, which are not part of what is read.
    explicit Scanner(std::string_view line, JsonText text = JsonText::line)
        : begin_(line.data()), end_(begin_ + line.size()), is_line_(text == JsonText::line) {
        if (begin_ != end_ && end_[-1] == '\n') {
            terminated_ = true;
            --end_;
            if (begin_ != end_ && end_[-1] == '\r') --end_;
        }
    }
    const char* begin() const { return begin_; }
    const char* end() const { return end_; }

    const char* space(const char* p) {
        while (p < end_ && static_cast<unsigned char>(*p) <= ' ') {
            if (*p == '\r') {
                if (is_line_) note(Refusal::carriage_return, p);
            } else if (*p != ' ' && *p != '\t' && *p != '\n') {
                break;
            }
            ++p;
        }
        return p;
    }
    // `p` is just past the opening quote; the result just past the closing one.
    const char* string(const char* p, StringToken& token) {
        token.begin = p;
        p = find_special(p, end_, begin_);
        if (p < end_ && *p == '"') [[likely]] {
            token.end = p;
            token.flags = 0;
            return p + 1;
        }
        return string_slow(p, token);
    }
    const char* number(const char* p) {
        const char* past = p;
        while (past < end_ && *past >= '0' && *past <= '9') ++past;
        const bool goes_on = past < end_ && (*past == '.' || (*past | 0x20) == 'e');
        if (past != p && *p != '0' && !goes_on && past - p <= kSafeDigits) [[likely]]
            return past;
        return number_slow(p);
    }
    const char* literal(const char* p);
    // Past the bracket that closes the one at `p`, without looking at the grammar between: for what is too
    // deep.
    const char* skim(const char* p);

    void note(Refusal refusal, const char* at) {
        if (refusal_ == Refusal::none) {
            refusal_ = refusal;
            refused_at_ = at;
        }
    }
    std::nullptr_t fail(Refusal refusal, const char* at) {
        note(refusal, at);
        broken_ = true;
        return nullptr;
    }
    // A byte that the grammar does not allow here, or the end of the line.
    std::nullptr_t unexpected(const char* at);

    Refusal refusal() const { return refusal_; }
    size_t refused_offset() const { return refusal_ == Refusal::none ? 0 : static_cast<size_t>(refused_at_ - begin_); }
    bool broken() const { return broken_; }

  private:
    static constexpr ptrdiff_t kSafeDigits = 300;  // without an exponent, well below 1e308

    const char* number_slow(const char* p);
    const char* string_slow(const char* p, StringToken& token);
    const char* escape(const char* p, StringToken& token);

    const char* begin_;
    const char* end_;
    const char* refused_at_ = nullptr;
    Refusal refusal_ = Refusal::none;
    bool broken_ = false;
    bool terminated_ = false;
    bool is_line_;
};

}  // namespace callgate
