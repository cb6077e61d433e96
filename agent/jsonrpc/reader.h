// Reader: walks one message and remembers the members that mean something, without judging them.
// MessageParser judges.
#pragma once
#include <array>

#include "jsonrpc/keys.h"
#include "jsonrpc/members.h"
#include "jsonrpc/walk.h"

namespace callgate {

// A member's value as it stands in the line; set only where kind() is not absent, the flags only for strings.
struct Value {
    const char* begin;
    const char* end;
    uint8_t flags;

    StringToken token() const { return {begin + 1, end - 1, flags}; }
};

class Reader {
  public:
    Reader(Scanner& scanner, KeyStack& keys) : scanner_(scanner), keys_(keys) {}

    void read();

    ValueKind kind(Member member) const { return kinds_[static_cast<size_t>(member)]; }
    bool has(Member member) const { return kind(member) != ValueKind::absent; }
    const Value& value(Member member) const { return values_[static_cast<size_t>(member)]; }
    std::string_view raw(Member member) const {
        const Value& found = value(member);
        return has(member) ? std::string_view(found.begin, static_cast<size_t>(found.end - found.begin)) : std::string_view();
    }
    // The id is the only one of its name, in whatever spelling.
    bool id_is_unambiguous() const { return ids_ == 1; }
    // At least as many bytes as the escaped strings among the values and argument keys have, for decoding
    // them.
    size_t escaped_bytes() const { return escaped_bytes_; }
    uint32_t argument_keys_total() const { return argument_keys_total_; }
    const StringToken& argument_key(size_t i) const { return argument_keys_[i]; }

    // --- what walk.h calls ---
    void open(bool object, const char* at) {
        if (member_ != Member::none) begin_member(object ? ValueKind::object : ValueKind::array, at);
        const Place place = object ? depth_ == 0 ? Place::envelope : place_of(member_) : Place::other;
        levels_[depth_++] = {place_, member_};
        place_ = place;
        member_ = Member::none;
        if (object) keys_.open();
    }
    void key(const StringToken& token) {
        // A known member that is seen for the first time is no duplicate; every other key goes the long way.
        if (place_ != Place::other && !token.escaped()) {
            member_ = member_of(place_, token.raw());
            if (member_ != Member::none && kinds_[static_cast<size_t>(member_)] == ValueKind::absent) [[likely]] {
                if (member_ == Member::id) ++ids_;
                return;
            }
        }
        key_slow(token);
    }
    void scalar(ValueKind kind, const char* begin, const char* end, const StringToken& token) {
        if (member_ == Member::none) return;
        Value& found = begin_member(kind, begin);
        found.end = end;
        if (kind == ValueKind::string) {
            found.flags = token.flags;
            if (token.escaped()) escaped_bytes_ += token.raw().size();
        }
        member_ = Member::none;
    }
    void close(bool object, const char* end) {
        if (object) {
            if (const auto duplicate = keys_.close()) {
                scanner_.note(Refusal::duplicate_key, scanner_.begin() + *duplicate - 1);
            }
        }
        place_ = levels_[--depth_].place;
        if (levels_[depth_].member != Member::none) values_[static_cast<size_t>(levels_[depth_].member)].end = end;
        member_ = Member::none;
    }

  private:
    void key_slow(const StringToken& token);
    void list_argument(const StringToken& token);
    struct Level {
        Place place;    // outside the container
        Member member;  // whose value the container is
    };
    Value& begin_member(ValueKind kind, const char* at) {
        kinds_[static_cast<size_t>(member_)] = kind;
        Value& found = values_[static_cast<size_t>(member_)];
        found.begin = at;
        return found;
    }

    Scanner& scanner_;
    KeyStack& keys_;
    Place place_ = Place::other;
    Member member_ = Member::none;
    size_t depth_ = 0;
    uint32_t ids_ = 0;
    size_t escaped_bytes_ = 0;
    uint32_t argument_keys_total_ = 0;
    std::array<ValueKind, static_cast<size_t>(Member::count)> kinds_{};
    std::array<Value, static_cast<size_t>(Member::count)> values_;
    std::array<Level, kJsonDepthMax> levels_;
    std::array<StringToken, kAuditKeysMax> argument_keys_;
};

}  // namespace callgate
