// walk(): visits every value of one JSON text in order, with an explicit stack of one bit per level.
//
// A visitor has
//   void open(bool object, const char* at);                       a container begins
//   void key(const StringToken& token);                           in the innermost object
//   void scalar(ValueKind kind, const char* begin, const char* end, const StringToken& token);  token:
//   strings only void close(bool object, const char* end);
// What lies deeper than kJsonDepthMax is noted and skipped, in linear time.
#pragma once
#include "base/limits.h"
#include "jsonrpc/scanner.h"

namespace callgate {

enum class ValueKind : uint8_t { absent, object, array, string, number, boolean, null };

template <typename Visitor>
class Walk {
  public:
    Walk(Scanner& scanner, Visitor& visitor) : in_(scanner), visitor_(visitor), end_(scanner.end()) {}

    // `p` is at the first byte of a value. Returns the position after it, nullptr where it cannot be read.
    const char* value(const char* p) {
        for (;;) {
            p = begin_value(p);
            if (p == nullptr) return nullptr;
            if (entered_) continue;
            for (;;) {
                if (depth_ == 0) return p;
                p = in_.space(p);
                if (p == end_) return in_.unexpected(p);
                if (*p == ',') {
                    p = in_.space(p + 1);
                    if (in_object() && (p = member(p)) == nullptr) return nullptr;
                    break;
                }
                if (*p != (in_object() ? '}' : ']')) return in_.unexpected(p);
                p = leave(p + 1);
            }
        }
    }

  private:
    static_assert(kJsonDepthMax <= 64, "one bit per level");
    bool in_object() const { return (objects_ & 1) != 0; }

    // Inlined: the position stays in a register through the whole loop.
    // A scalar or an empty container is read whole; a container with something in it is entered up to its
    // first value.
    [[gnu::always_inline]] const char* begin_value(const char* p) {
        entered_ = false;
        if (p == end_) return in_.unexpected(p);
        const char* past = nullptr;
        switch (*p) {
            case '"':
                past = in_.string(p + 1, token_);
                if (past != nullptr) visitor_.scalar(ValueKind::string, p, past, token_);
                return past;
            case '{':
            case '[': return enter(p);
            case 't':
            case 'f':
            case 'n':
                past = in_.literal(p);
                if (past != nullptr) {
                    visitor_.scalar(*p == 'n' ? ValueKind::null : ValueKind::boolean, p, past, token_);
                }
                return past;
            case '-':
            case '0':
            case '1':
            case '2':
            case '3':
            case '4':
            case '5':
            case '6':
            case '7':
            case '8':
            case '9':
                past = in_.number(p);
                if (past != nullptr) visitor_.scalar(ValueKind::number, p, past, token_);
                return past;
            default: return in_.unexpected(p);
        }
    }

    [[gnu::always_inline]] const char* enter(const char* p) {
        const bool object = *p == '{';
        if (depth_ == kJsonDepthMax) {
            in_.note(Refusal::too_deep, p);
            return in_.skim(p);
        }
        ++depth_;
        objects_ = (objects_ << 1) | (object ? 1 : 0);
        visitor_.open(object, p);
        p = in_.space(p + 1);
        if (p < end_ && *p == (object ? '}' : ']')) return leave(p + 1);
        entered_ = true;
        return object ? member(p) : p;
    }

    [[gnu::always_inline]] const char* leave(const char* past) {
        const bool object = in_object();
        --depth_;
        objects_ >>= 1;
        visitor_.close(object, past);
        return past;
    }

    // From a key to the first byte of its value.
    [[gnu::always_inline]] const char* member(const char* p) {
        if (p == end_ || *p != '"') return in_.unexpected(p);
        p = in_.string(p + 1, token_);
        if (p == nullptr) return nullptr;
        visitor_.key(token_);
        p = in_.space(p);
        if (p == end_ || *p != ':') return in_.unexpected(p);
        return in_.space(p + 1);
    }

    Scanner& in_;
    Visitor& visitor_;
    const char* const end_;
    StringToken token_;
    uint64_t objects_ = 0;  // lowest bit: the innermost container is an object
    int depth_ = 0;
    bool entered_ = false;
};

}  // namespace callgate
