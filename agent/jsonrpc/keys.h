// KeyStack: the keys of every object that is open at the moment, to find a key that occurs twice in one
// object, however it was spelt: `"method"` and `"m\u0065thod"` are the same key.
//
// Few keys are compared one by one as they come, many are sorted when the object ends: n keys cost O(n log n)
// whatever they are. Memory is kept from one message to the next, up to a bound.
#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "jsonrpc/text.h"

namespace callgate {

class KeyStack {
  public:
    enum class Outcome : uint8_t { fresh, duplicate, too_many };

    void reset(const char* line);
    void open() { objects_[open_++] = {static_cast<uint32_t>(entries_.size()), static_cast<uint32_t>(decoded_.size()), 0}; }
    // `text` is the key decoded, valid until the next add().
    Outcome add(const StringToken& token, std::string_view& text);
    // Ends the innermost object. The offset of its first repeated key, if that only shows now.
    std::optional<size_t> close() {
        const Object& object = objects_[--open_];
        std::optional<size_t> found;
        if (entries_.size() - object.first_entry > kComparedKeysMax) found = first_duplicate(object.first_entry);
        entries_.resize(object.first_entry);
        if (decoded_.size() != object.first_decoded) decoded_.resize(object.first_decoded);
        return found;
    }

  private:
    struct Entry {
        uint32_t hash;
        uint32_t length;   // decoded
        uint32_t offset;   // of the content in the line
        uint32_t decoded;  // of the content in decoded_, kNotEscaped where the line has it
    };
    struct Object {
        uint32_t first_entry;
        uint32_t first_decoded;
        uint64_t seen;  // one bit for each value of a hash's top six bits
    };
    // Up to here every new key is compared with the earlier ones of its object.
    static constexpr size_t kComparedKeysMax = 16;
    static constexpr uint32_t kNotEscaped = UINT32_MAX;

    std::string_view text(const Entry& entry) const {
        const char* data = entry.decoded == kNotEscaped ? line_ + entry.offset : decoded_.data() + entry.decoded;
        return {data, entry.length};
    }
    std::optional<size_t> first_duplicate(uint32_t first_entry);

    const char* line_ = nullptr;
    std::vector<Entry> entries_;
    std::string decoded_;
    std::array<Object, kJsonDepthMax> objects_;
    size_t open_ = 0;
};

// True where `text` is not one of `names` but a lenient reader could take it for one: in another case (case_fold.h: U+017F is an
// s, U+212A a k), or with a NUL behind it.
bool is_lenient_match(std::string_view text, std::initializer_list<std::string_view> names);

}  // namespace callgate
