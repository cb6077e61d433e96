#include "jsonrpc/keys.h"

#include <algorithm>
#include <cstring>

#include "jsonrpc/case_fold.h"

namespace callgate {
namespace {

// What is kept between messages; an object with more is rare.
constexpr size_t kEntriesKept = 4096;
constexpr size_t kDecodedBytesKept = size_t{64} << 10;

template <typename Word>
uint64_t load(const char* p) {
    Word word;
    memcpy(&word, p, sizeof word);
    return word;
}

// Looks at up to 24 bytes. Whoever aims at collisions gains nothing: equal hashes are told apart by sorting.
uint32_t hash(std::string_view text) {
    const char* const p = text.data();
    const size_t n = text.size();
    uint64_t mixed = n;
    if (n >= 8) {
        mixed += load<uint64_t>(p) * 5 + (load<uint64_t>(p + n - 8) << 3 | load<uint64_t>(p + n - 8) >> 61);
        if (n > 16) mixed ^= load<uint64_t>(p + n / 2 - 4) * 0xff51afd7ed558ccdu;
    } else if (n >= 4) {
        mixed += load<uint32_t>(p) | load<uint32_t>(p + n - 4) << 32;
    } else if (n > 0) {
        mixed += load<uint8_t>(p) << 24 | load<uint8_t>(p + n / 2) << 16 | load<uint8_t>(p + n - 1) << 8;
    }
    mixed ^= mixed >> 32;
    mixed *= 0x9e3779b97f4a7c15u;
    return static_cast<uint32_t>(mixed >> 32);
}

}  // namespace

void KeyStack::reset(const char* line) {
    line_ = line;
    open_ = 0;
    entries_.clear();
    decoded_.clear();
    if (entries_.capacity() > kEntriesKept) entries_.shrink_to_fit();
    if (decoded_.capacity() > kDecodedBytesKept) decoded_.shrink_to_fit();
}

KeyStack::Outcome KeyStack::add(const StringToken& token, std::string_view& decoded_text) {
    Object& object = objects_[open_ - 1];
    Entry entry;
    entry.offset = static_cast<uint32_t>(token.begin - line_);
    entry.decoded = kNotEscaped;
    decoded_text = token.raw();
    if (token.escaped()) {
        entry.decoded = static_cast<uint32_t>(decoded_.size());
        append_decoded(decoded_, token.raw());
        decoded_text = std::string_view(decoded_).substr(entry.decoded);
    }
    entry.length = static_cast<uint32_t>(decoded_text.size());
    entry.hash = hash(decoded_text);

    const size_t count = entries_.size() - object.first_entry;
    if (count >= kJsonMembersMax) {
        if (token.escaped()) decoded_.resize(entry.decoded);  // the bytes stay readable until the next append
        return Outcome::too_many;
    }
    const uint64_t bit = uint64_t{1} << (entry.hash >> 26);
    if (count < kComparedKeysMax && (object.seen & bit) != 0) {
        for (size_t i = object.first_entry; i < entries_.size(); ++i) {
            if (entries_[i].hash == entry.hash && text(entries_[i]) == decoded_text) return Outcome::duplicate;
        }
    }
    object.seen |= bit;
    entries_.push_back(entry);
    return Outcome::fresh;
}

std::optional<size_t> KeyStack::first_duplicate(uint32_t first_entry) {
    const auto first = entries_.begin() + first_entry;
    std::sort(first, entries_.end(), [&](const Entry& a, const Entry& b) {
        if (a.hash != b.hash) return a.hash < b.hash;
        const int order = text(a).compare(text(b));
        return order != 0 ? order < 0 : a.offset < b.offset;
    });
    std::optional<size_t> found;
    for (auto entry = first + 1; entry < entries_.end(); ++entry) {
        const Entry& before = entry[-1];
        if (before.hash != entry->hash || text(before) != text(*entry)) continue;
        if (!found || entry->offset < *found) found = entry->offset;
    }
    return found;
}

bool is_lenient_match(std::string_view text, std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names) {
        if (text == name) continue;
        const std::optional<size_t> same = folded_prefix(text, name);
        if (same && (*same == text.size() || text[*same] == '\0')) return true;
    }
    return false;
}

}  // namespace callgate
