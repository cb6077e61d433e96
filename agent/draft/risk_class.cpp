#include "draft/risk_class.h"

#include <algorithm>
#include <array>
#include <optional>

namespace callgate {
namespace {

using Words = std::vector<std::string>;

std::string quoted(std::string_view word) { return '"' + std::string(word) + '"'; }

std::string said(const RiskWord& word) { return quoted(word.text) + " " + std::string(word.why); }

bool is_conjunction(std::string_view word) { return word == "and" || word == "or" || word == "then"; }

// The worst of what has been found, and why; nothing before anything was.
class Evidence {
  public:
    void add(RiskClass risk, std::string reason) {
        if (!found_ || risk > found_->risk) found_ = RiskFinding{risk, std::move(reason)};
    }
    // Only where something has been found already, or this makes it worse than a write.
    void add_worse(RiskClass risk, std::string reason) {
        if (found_ || risk > RiskClass::read) add(risk, std::move(reason));
    }
    const std::optional<RiskFinding>& found() const { return found_; }
    bool reads() const { return found_ && found_->risk == RiskClass::read; }

  private:
    std::optional<RiskFinding> found_;
};

// The first verb of each part between "and"s, and strong words wherever they are; without any verb a noun
// that tells.
void add_name(const Words& words, std::string_view where, Evidence& evidence) {
    bool has_verb = false, any_verb = false;
    for (size_t i = 0; i < words.size();) {
        const FoundWord found = find_name_word(words, i);
        if (found.word != nullptr && (!has_verb || found.word->is_strong)) {
            evidence.add(found.word->risk, std::string(where) + said(*found.word));
        }
        has_verb = has_verb || found.word != nullptr;
        any_verb = any_verb || has_verb;
        if (is_conjunction(words[i])) has_verb = false;
        i += std::max<size_t>(found.length, 1);
    }
    if (any_verb || words.size() < 2) return;
    for (const std::string* word : {&words.front(), &words.back()}) {
        if (const RiskWord* noun = find_noun(*word)) evidence.add(noun->risk, std::string(where) + said(*noun));
    }
}

void add_secrets(const Words& words, Evidence& evidence) {
    for (size_t i = 0; i < words.size(); ++i) {
        if (const RiskWord* found = find_secret(words, i)) evidence.add(found->risk, said(*found));
    }
}

bool decides(const Words& words) {
    constexpr std::array<std::string_view, 8> kDeciding = {"action",  "operation", "mode", "method",
                                                           "command", "op",        "verb", "subcommand"};
    return words.size() == 1 && std::find(kDeciding.begin(), kDeciding.end(), words[0]) != kDeciding.end();
}

// `"action" decides: list, stats read; prune destructive`. Nothing where no value says anything.
void add_values(const ToolParameter& parameter, Evidence& evidence) {
    std::array<std::string, kRiskClasses> by_class;
    bool is_telling = false;
    RiskClass worst = RiskClass::read;
    for (const std::string& value : parameter.values) {
        Evidence of_value;
        add_name(words_of(value), "", of_value);
        is_telling = is_telling || of_value.found();
        const RiskClass risk = of_value.found() ? of_value.found()->risk : RiskClass::write;
        std::string& list = by_class[static_cast<size_t>(risk)];
        list += (list.empty() ? "" : ", ") + value;
        worst = std::max(worst, risk);
    }
    if (!is_telling) return;
    std::string reason = quoted(parameter.name) + " decides:";
    const char* separator = " ";
    for (size_t i = 0; i < kRiskClasses; ++i) {
        if (by_class[i].empty()) continue;
        reason += separator + by_class[i] + " " + std::string(name(static_cast<RiskClass>(i)));
        separator = "; ";
    }
    evidence.add(worst, std::move(reason));
}

bool has_generic_name(const Words& words, const Evidence& of_name) {
    return !of_name.found() ||
           std::any_of(words.begin(), words.end(), [](const std::string& word) { return is_generic_verb(word); });
}

void add_parameters(const ListedTool& tool, const Words& name_words, bool is_generic, Evidence& evidence) {
    for (const ToolParameter& parameter : tool.parameters) {
        const Words words = words_of(parameter.name);
        if (decides(words) && !parameter.values.empty()) {
            add_values(parameter, evidence);
            continue;
        }
        const bool acts = words.size() == 1 && (words[0] == "action" || words[0] == "operation");
        if (acts && is_generic) {
            evidence.add(
                RiskClass::destructive,
                quoted(parameter.name) + " decides what it does, and the schema does not say between what: the worst is assumed");
        }
        if (const RiskWord* found = find_parameter(words)) {
            evidence.add_worse(found->risk, "parameter " + quoted(parameter.name) + " " + std::string(found->why));
        }
    }
    if (evidence.reads()) return;
    const auto add_money = [&](const Words& words, const std::string& where) {
        for (const std::string& word : words) {
            if (const RiskWord* found = find_money_word(word)) evidence.add(found->risk, where + said(*found));
        }
    };
    add_money(name_words, "");
    for (const ToolParameter& parameter : tool.parameters)
        add_money(words_of(parameter.name), "parameter " + quoted(parameter.name) + ": ");
}

// Sentences of a description, each in words.
std::vector<Words> sentences_of(std::string_view text) {
    std::vector<Words> sentences;
    for (size_t begin = 0; begin < text.size();) {
        size_t end = begin;
        while (end < text.size() && text[end] != '\n' && text[end] != ';' &&
               !(text[end] == '.' && (end + 1 == text.size() || text[end + 1] == ' ' || text[end + 1] == '\n'))) {
            ++end;
        }
        Words words = words_of(text.substr(begin, end - begin));
        if (!words.empty()) sentences.push_back(std::move(words));
        begin = end + 1;
    }
    return sentences;
}

// "does not delete", "never removes", "without deleting", "non-destructive"
bool is_negated(const Words& words, size_t at) {
    constexpr std::array<std::string_view, 7> kNegations = {"not", "never", "no", "without", "non", "t", "isn"};
    for (size_t i = at > 3 ? at - 3 : 0; i < at; ++i) {
        if (std::find(kNegations.begin(), kNegations.end(), words[i]) != kNegations.end()) return true;
    }
    return false;
}

void add_phrases(const Words& words, Evidence& evidence) {
    for (const RiskWord& phrase : description_phrases()) {
        const Words wanted = words_of(phrase.text);
        const auto found = std::search(words.begin(), words.end(), wanted.begin(), wanted.end());
        if (found != words.end() && !is_negated(words, static_cast<size_t>(found - words.begin()))) {
            evidence.add_worse(phrase.risk, "description: " + said(phrase));
        }
    }
}

// Words that begin a description and are no verb of it.
bool is_preamble(std::string_view word) {
    constexpr std::array<std::string_view, 12> kWords = {"a",    "an",    "the", "this", "tool", "to",
                                                         "that", "which", "use", "used", "for",  "can"};
    return word.ends_with("ly") || std::find(kWords.begin(), kWords.end(), word) != kWords.end();
}

// The verb that a sentence begins with, and those of its form that an "and", an "or" or a comma adds: "Create
// or delete". Of later sentences only what is as bad as money or loss counts, and only as a statement:
// "Deletes".
void add_description(std::string_view text, Evidence& evidence) {
    bool is_first = true;
    for (const Words& words : sentences_of(text)) {
        add_phrases(words, evidence);
        size_t at = 0;
        while (is_first && at < words.size() && is_preamble(words[at])) ++at;
        bool third = false;
        const RiskWord* verb = at < words.size() ? find_verb_form(words[at], third) : nullptr;
        const bool counts = is_first || (third && verb != nullptr && verb->risk >= RiskClass::financial);
        is_first = false;
        if (verb == nullptr || !counts) continue;
        evidence.add(verb->risk, "description: " + quoted(words[at]) + " " + std::string(verb->why));
        for (size_t i = at + 1; i + 1 < words.size(); ++i) {
            bool also_third = false;
            const RiskWord* other = is_conjunction(words[i]) ? find_verb_form(words[i + 1], also_third) : nullptr;
            if (other == nullptr || also_third != third || is_negated(words, i + 1)) continue;
            evidence.add(other->risk, "description: " + quoted(words[i + 1]) + " " + std::string(other->why));
        }
    }
}

}  // namespace

RiskFinding classify(const ListedTool& tool) {
    const Words name_words = words_of(tool.name);
    Evidence evidence, description;
    add_name(name_words, "", evidence);
    const bool is_generic = has_generic_name(name_words, evidence);
    add_description(tool.description, description);
    add_parameters(tool, name_words, is_generic && !description.reads(), evidence);
    add_secrets(name_words, evidence);
    if (description.found()) evidence.add(description.found()->risk, description.found()->reason);
    RiskFinding finding = evidence.found().value_or(RiskFinding{RiskClass::write, std::string(kNothingSaid)});
    if (tool.destructive.value_or(false) && finding.risk != RiskClass::destructive) {
        finding = {RiskClass::destructive, "the server calls it destructive"};
    } else if (!tool.read_only.value_or(true) && finding.risk == RiskClass::read) {
        finding = {RiskClass::write, "the server says that it is not read-only"};
    } else if (tool.read_only.value_or(false) && finding.risk > RiskClass::read) {
        finding.reason += "; that the server calls it read-only is no proof";
    }
    return finding;
}

}  // namespace callgate
