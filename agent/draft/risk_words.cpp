#include "draft/risk_words.h"

#include <algorithm>
#include <array>

#include "draft/risk_word_tables.h"

namespace callgate {
namespace {

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// How many of the words the entry is, 0 where they are others.
size_t words_matched(std::string_view text, std::span<const std::string> words) {
    size_t count = 0;
    while (true) {
        const size_t space = text.find(' ');
        if (count == words.size() || words[count] != text.substr(0, space)) return 0;
        ++count;
        if (space == std::string_view::npos) return count;
        text.remove_prefix(space + 1);
    }
}

template <size_t N>
const RiskWord* find(const RiskWord (&table)[N], std::string_view word) {
    const auto found = std::find_if(std::begin(table), std::end(table), [&](const RiskWord& each) { return each.text == word; });
    return found == std::end(table) ? nullptr : found;
}

}  // namespace

std::string_view name(RiskClass risk) {
    switch (risk) {
        case read: return "read";
        case write: return "write";
        case execute: return "execute";
        case secret: return "secret";
        case financial: return "financial";
        case destructive: return "destructive";
    }
    return "";
}

FoundWord find_name_word(std::span<const std::string> words, size_t at) {
    FoundWord best;
    for (const RiskWord& word : kNameWords) {
        const size_t length = words_matched(word.text, words.subspan(at));
        if (length > best.length) best = {&word, length};
    }
    return best;
}

const RiskWord* find_noun(std::string_view word) { return find(kNouns, word); }

const RiskWord* find_money_word(std::string_view word) { return find(kMoneyWords, word); }

const RiskWord* find_secret(std::span<const std::string> words, size_t at) {
    const auto found = std::find_if(std::begin(kSecrets), std::end(kSecrets),
                                    [&](const RiskWord& each) { return words_matched(each.text, words.subspan(at)) > 0; });
    return found == std::end(kSecrets) ? nullptr : found;
}

const RiskWord* find_parameter(std::span<const std::string> words) {
    for (const RiskWord& entry : kParameters) {
        const size_t matched = words_matched(entry.text, words);
        if (matched > 0 && (entry.is_strong || matched == words.size())) return &entry;
    }
    return nullptr;
}

bool is_generic_verb(std::string_view word) {
    return std::find(std::begin(kGenericVerbs), std::end(kGenericVerbs), word) != std::end(kGenericVerbs);
}

std::span<const RiskWord> description_phrases() { return kPhrases; }

std::vector<std::string> words_of(std::string_view name) {
    std::vector<std::string> words;
    bool begins = true;
    for (size_t i = 0; i < name.size(); ++i) {
        const char c = name[i];
        if (!is_upper(c) && !is_lower(c) && !is_digit(c)) {
            begins = true;
            continue;
        }
        const bool after_small = i > 0 && (is_lower(name[i - 1]) || is_digit(name[i - 1]));
        const bool ends_capitals = i > 0 && is_upper(name[i - 1]) && i + 1 < name.size() && is_lower(name[i + 1]);
        if (begins || (is_upper(c) && (after_small || ends_capitals))) words.emplace_back();
        begins = false;
        words.back() += is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return words;
}

const RiskWord* find_verb_form(std::string_view word, bool& is_third_person) {
    is_third_person = false;
    if (const RiskWord* exact = find(kNameWords, word)) return exact;
    struct Ending {
        std::string_view suffix, instead;
        bool third_person;
    };
    constexpr std::array<Ending, 5> kEndings = {
        {{"ies", "y", true}, {"es", "", true}, {"s", "", true}, {"ing", "e", false}, {"ing", "", false}}};
    for (const Ending& ending : kEndings) {
        if (!word.ends_with(ending.suffix)) continue;
        std::string stem(word.substr(0, word.size() - ending.suffix.size()));
        stem += ending.instead;
        if (const RiskWord* found = find(kNameWords, stem)) {
            is_third_person = ending.third_person;
            return found;
        }
    }
    return nullptr;
}

}  // namespace callgate
