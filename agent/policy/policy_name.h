// Names of policy files: a policy is called as its file is, without the end that tells the syntax.
//
//   "pay.json" "pay.yaml" "pay.yml"   ->  policy "pay"
//   "pay.test.json" ".pay.json" "x.txt"  ->  no policies
#pragma once
#include <array>
#include <string_view>

namespace callgate {

inline constexpr std::array<std::string_view, 3> kPolicyExtensions = {".json", ".yaml", ".yml"};
inline constexpr std::string_view kPolicyTestExtension = ".test.json";  // tests of a policy, see policy_test_file.h

inline bool is_yaml_name(std::string_view file) { return file.ends_with(".yaml") || file.ends_with(".yml"); }

// Without its extension, where it has one of these.
inline std::string_view policy_stem(std::string_view file) {
    for (std::string_view extension : kPolicyExtensions) {
        if (file.ends_with(extension)) return file.substr(0, file.size() - extension.size());
    }
    return file;
}

// Of a file wherever it is: "/etc/callgate/policies.d/pay.json" -> "pay".
inline std::string_view policy_name_of(std::string_view path) { return policy_stem(path.substr(path.rfind('/') + 1)); }

inline bool is_policy_name(std::string_view file) {
    return !file.starts_with('.') && !file.ends_with(kPolicyTestExtension) && policy_stem(file) != file;
}

}  // namespace callgate
