#include "policy/name_pattern.h"

#include "policy/glob.h"
#include "policy/known_keys.h"
#include "policy/nearest_key.h"

namespace callgate {

NamePattern NamePattern::of(std::string_view written) {
    const bool is_pattern = written.starts_with(kGlobPrefix);
    if (is_pattern) written.remove_prefix(kGlobPrefix.size());
    return {std::string(written), is_pattern};
}

bool NamePattern::matches(std::string_view name) const {
    return !name.empty() && (is_pattern ? glob_match(text, name) : name == text);
}

std::string NamePattern::problem() const {
    if (is_pattern) return text.empty() ? "the pattern is empty" : glob_problem(text);
    if (text.find_first_of("*?") == std::string::npos) return {};
    return in_quotes(text) + " would be taken as it is; write " + in_quotes("glob:" + text) + " for a pattern";
}

}  // namespace callgate
