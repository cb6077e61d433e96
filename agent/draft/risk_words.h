// RiskWords: what a word in the name or the description of a tool says of what the tool does, as one table
// for people to read and to extend. And how names are cut into words.
//
//   words_of("getHTTPResponse2")       ->  get http response2
//   words_of("dead-end.record_all")    ->  dead end record all
//   find_name_word({"drop","table","x"}, 0)  ->  "drop table": destructive, counts anywhere, 2 words long
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace callgate {

// From the mildest to the worst: a tool has the class of the worst that it can do.
enum class RiskClass : uint8_t { read, write, execute, secret, financial, destructive };
inline constexpr size_t kRiskClasses = 6;
std::string_view name(RiskClass risk);

struct RiskWord {
    std::string_view text;  // one word, or several with spaces between
    RiskClass risk;
    std::string_view why;  // goes on after the word: `"delete" removes for good`
    // Counts wherever it stands; other words only where no verb stands before them.
    bool is_strong = false;
};

// The longest entry of the table that begins at words[at]; null where there is none. `length`: in words.
struct FoundWord {
    const RiskWord* word = nullptr;
    size_t length = 0;
};
FoundWord find_name_word(std::span<const std::string> words, size_t at);
// What may stand at the end of a name without a verb: "agent_status" reads.
const RiskWord* find_noun(std::string_view word);
// Nothing but what moves money says them; with a verb that reads they say nothing.
const RiskWord* find_money_word(std::string_view word);
// The entry that begins at words[at], of what must not get out: whatever is done with it, it counts. Null where there is none.
const RiskWord* find_secret(std::span<const std::string> words, size_t at);
// What a parameter of this name says of its tool. `words`: of the parameter's name.
const RiskWord* find_parameter(std::span<const std::string> words);
// "manage", "handle": the tool does whatever its arguments say.
bool is_generic_verb(std::string_view word);
// What is said nowhere but in a description: "cannot be undone".
std::span<const RiskWord> description_phrases();

// In lower case. Cut at everything but letters and digits, and where a capital begins a word.
std::vector<std::string> words_of(std::string_view name);
// The table's word for "deletes", "deleting", "copies"; null where there is none.
const RiskWord* find_verb_form(std::string_view word, bool& is_third_person);

}  // namespace callgate
