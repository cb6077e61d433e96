#include "policy/dialect.h"

#include "base/limits.h"
#include "policy/intercept_dialect.h"
#include "policy/policy_name.h"
#include "policy/yaml_document.h"

namespace callgate {

std::optional<JsonValue> read_policy_tree(std::string_view text, std::string_view file, ProblemList& problems) {
    if (text.size() > kPolicyFileBytesMax) {
        problems.add(0, "", "larger than " + std::to_string(kPolicyFileBytesMax) + " bytes");
        return std::nullopt;
    }
    std::optional<JsonValue> root = is_yaml_name(file) ? parse_yaml(text, problems) : parse_json(text, problems);
    if (root && is_intercept(*root)) root = native_from_intercept(*root, problems);
    return root;
}

}  // namespace callgate
