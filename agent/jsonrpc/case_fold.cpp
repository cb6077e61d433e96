#include "jsonrpc/case_fold.h"

#include <utf8proc.h>

#include <array>

namespace callgate {
namespace {

bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }
char fold_ascii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// The characters that a text folds to; one may be several.
class Folding {
  public:
    explicit Folding(std::string_view text) : text_(text) {}

    bool done() const { return at_ == text_.size() && next_ == count_; }
    bool between_characters() const { return next_ == count_; }
    size_t bytes() const { return at_; }
    // Both texts stand before a plain character.
    bool is_at_ascii() const { return between_characters() && at_ < text_.size() && is_ascii(text_[at_]); }
    char take_ascii() { return fold_ascii(text_[at_++]); }

    utf8proc_int32_t take() {
        if (between_characters()) fold_next();
        return folded_[next_++];
    }

  private:
    static constexpr utf8proc_int32_t kIllFormed = 0x110000;  // and the byte: no character

    void fold_next() {
        next_ = 0;
        count_ = 1;
        if (is_ascii(text_[at_])) {
            folded_[0] = take_ascii();
            return;
        }
        utf8proc_int32_t character = -1;
        const auto* const bytes = reinterpret_cast<const utf8proc_uint8_t*>(text_.data()) + at_;
        const auto length = utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(text_.size() - at_), &character);
        if (length <= 0) {
            folded_[0] = kIllFormed + *bytes;
            ++at_;
            return;
        }
        at_ += static_cast<size_t>(length);
        // The i of Turkish, with and without its dot: to Unicode no i, to Java one.
        if (character == 0x130 || character == 0x131) character = 'i';
        int ignored = 0;
        const auto size = utf8proc_decompose_char(character, folded_.data(), static_cast<utf8proc_ssize_t>(folded_.size()),
                                                  UTF8PROC_CASEFOLD, &ignored);
        if (size > 0 && static_cast<size_t>(size) <= folded_.size()) {
            count_ = static_cast<size_t>(size);
        } else {
            folded_[0] = character;
        }
    }

    std::string_view text_;
    size_t at_ = 0;
    std::array<utf8proc_int32_t, 4> folded_{};
    size_t next_ = 0, count_ = 0;
};

std::optional<size_t> folded_prefix_slow(std::string_view text, std::string_view prefix) {
    Folding in_text(text), in_prefix(prefix);
    while (!in_prefix.done()) {
        if (in_text.done()) return std::nullopt;
        const bool both_are_plain = in_text.is_at_ascii() && in_prefix.is_at_ascii();
        if (both_are_plain ? in_text.take_ascii() != in_prefix.take_ascii() : in_text.take() != in_prefix.take())
            return std::nullopt;
    }
    if (!in_text.between_characters()) return std::nullopt;
    return in_text.bytes();
}

}  // namespace

std::optional<size_t> folded_prefix(std::string_view text, std::string_view prefix) {
    // Almost all that is compared is of ASCII, and differs soon.
    size_t at = 0;
    for (; at < prefix.size(); ++at) {
        if (at == text.size()) return std::nullopt;
        if (!is_ascii(text[at]) || !is_ascii(prefix[at])) break;
        if (fold_ascii(text[at]) != fold_ascii(prefix[at])) return std::nullopt;
    }
    if (at == prefix.size()) return at;
    const std::optional<size_t> rest = folded_prefix_slow(text.substr(at), prefix.substr(at));
    if (!rest) return std::nullopt;
    return at + *rest;
}

}  // namespace callgate
