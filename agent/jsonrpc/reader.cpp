#include "jsonrpc/reader.h"

namespace callgate {

void Reader::key_slow(const StringToken& token) {
    std::string_view text;
    const char* const at = token.begin - 1;
    switch (keys_.add(token, text)) {
        case KeyStack::Outcome::fresh: break;
        case KeyStack::Outcome::duplicate: scanner_.note(Refusal::duplicate_key, at); break;
        case KeyStack::Outcome::too_many: scanner_.note(Refusal::too_many_members, at); break;
    }
    if (token.escaped_nul()) scanner_.note(Refusal::nul_byte, at);
    member_ = Member::none;
    if (place_ == Place::other) return;
    if (place_ == Place::arguments) {
        list_argument(token);
        return;
    }
    member_ = member_of(place_, text);
    if (member_ == Member::id) ++ids_;
    if (member_ != Member::none && has(member_)) scanner_.note(Refusal::duplicate_key, at);
    if (member_ == Member::none && is_misspelt_member(place_, text)) {
        scanner_.note(Refusal::protocol_key_case, at);
        if (place_ == Place::envelope && is_lenient_match(text, {"id"})) ++ids_;
    }
}

void Reader::list_argument(const StringToken& token) {
    if (argument_keys_total_ < kAuditKeysMax) {
        argument_keys_[argument_keys_total_] = token;
        if (token.escaped()) escaped_bytes_ += token.raw().size();
    }
    ++argument_keys_total_;
}

void Reader::read() {
    const char* p = scanner_.begin();
    const char* const end = scanner_.end();
    if (end - p >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
        scanner_.note(Refusal::byte_order_mark, p);
        p += 3;
    }
    p = scanner_.space(p);
    if (p == end) {
        scanner_.fail(Refusal::empty, p);
        return;
    }
    const char first = *p;
    const char* const at = p;
    p = Walk(scanner_, *this).value(p);
    if (p == nullptr) return;
    p = scanner_.space(p);
    if (p != end) {
        scanner_.fail(*p == '\0' ? Refusal::nul_byte : Refusal::trailing_bytes, p);
    } else if (first != '{') {
        scanner_.note(first == '[' ? Refusal::batch : Refusal::not_object, at);
    }
}

}  // namespace callgate
