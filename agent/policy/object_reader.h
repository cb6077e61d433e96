// ObjectReader: takes the members of one JSON object by name and type, reporting whatever is not as it should
// be. Constructing it reports the unknown keys. Every getter returns nothing where the member is absent or
// wrong.
//
//   ObjectReader reader(value, "/tools/x/limits/0", known::kLimit, problems);
//   auto max = reader.integer("max", 0, 100);   // problem: `/tools/x/limits/0/max: expected an integer,
//   found a string`
#pragma once
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "policy/json_document.h"
#include "policy/known_keys.h"
#include "policy/problem_list.h"

namespace callgate {

// Longest text that a policy may give: it is sent with every denial.
inline constexpr size_t kPolicyTextBytesMax = 4096;

// Reports and returns false where `value` is of another kind.
bool expect(JsonValue::Kind kind, const JsonValue& value, std::string_view path, ProblemList& problems);

// Calls each(item, its path) for every object of an array; an item of another kind is reported and left out.
template <typename Each>
void each_object(const JsonValue& array, const std::string& path, ProblemList& problems, Each each) {
    for (size_t i = 0; i < array.items.size(); ++i) {
        const std::string item_path = join_pointer(path, i);
        if (expect(JsonValue::Kind::object, array.items[i], item_path, problems)) {
            each(array.items[i], item_path);
        }
    }
}

class ObjectReader {
  public:
    ObjectReader(const JsonValue& object, std::string path, const KnownKeys& keys, ProblemList& problems);

    // Null where absent (or of the wrong kind, which is reported).
    const JsonValue* member(std::string_view key, JsonValue::Kind kind) const;
    bool has(std::string_view key) const { return object_.find(key) != nullptr; }
    // Reports an absent key.
    bool require(std::string_view key) const;

    std::optional<std::string> text(std::string_view key, size_t bytes_max = kPolicyTextBytesMax) const;
    // A text without control characters that is not empty.
    std::optional<std::string> word(std::string_view key, size_t bytes_max) const;
    std::optional<int64_t> integer(std::string_view key, int64_t min, int64_t max) const;
    // One of the given words; `later` are words that a later version will know.
    template <typename T, size_t N>
    std::optional<T> choice(std::string_view key, const std::array<std::pair<std::string_view, T>, N>& choices,
                            std::span<const std::string_view> later = {}) const {
        std::array<std::string_view, N> words;
        for (size_t i = 0; i < N; ++i) words[i] = choices[i].first;
        const std::optional<size_t> chosen = choose(key, words, later);
        return chosen ? std::optional<T>(choices[*chosen].second) : std::nullopt;
    }
    // "second" … "day" or a number of seconds.
    std::optional<int64_t> window_s(std::string_view key) const;

    void problem(std::string_view key,
                 std::string message) const;  // at the member, or at the object without one
    std::string path_of(std::string_view key) const { return join_pointer(path_, key); }
    const std::string& path() const { return path_; }
    ProblemList& problems() const { return problems_; }

  private:
    std::optional<size_t> choose(std::string_view key, std::span<const std::string_view> words,
                                 std::span<const std::string_view> later) const;

    const JsonValue& object_;
    std::string path_;
    ProblemList& problems_;
};

// True where `text` holds a control character (a name is printed, and part of a counter's key).
bool has_control_character(std::string_view text);

}  // namespace callgate
