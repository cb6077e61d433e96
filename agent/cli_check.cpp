// callgate check FILE…
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>

#include "audit/safe_text.h"
#include "base/fd.h"
#include "base/limits.h"
#include "cli.h"
#include "policy/policy.h"

namespace callgate {
namespace {

using nlohmann::json;

Result<std::string> read_policy(const std::string& path) {
    Fd fd = Fd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    struct stat status;
    if (!fd || ::fstat(fd.get(), &status) != 0) return Error::system("open", path, errno);
    if (S_ISDIR(status.st_mode))
        return Error::invalid(path, "is a directory; name its files, as in " + path + "/*.json");
    std::string text;
    char bytes[65536];
    while (text.size() <= kPolicyFileBytesMax) {
        const ssize_t got = ::read(fd.get(), bytes, sizeof(bytes));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return Error::system("read", path, errno);
        if (got == 0) return text;
        text.append(bytes, static_cast<size_t>(got));
    }
    return Error::invalid(path, "is larger than 16 MiB, which no policy needs");
}

// "default deny, 15 tools, 3 hidden", of a file that loads.
std::string summary(const std::string& text) {
    const json policy = json::parse(text, nullptr, false);
    const json& tools = member(policy, "tools");
    const json& hide = member(policy, "hide");
    std::string line = "default " + shown(member(policy, "default")) + ", " +
                       std::to_string(tools.is_object() ? tools.size() : 0) + " tools, ";
    bool hides_all = hide == "*";
    for (const json& name : hide.is_array() ? hide : json::array()) hides_all = hides_all || name == "*";
    line += hides_all ? "all hidden" : std::to_string(hide.is_array() ? hide.size() : 0) + " hidden";
    return line;
}

bool check_one(const std::string& path) {
    const Result<std::string> text = read_policy(path);
    if (!text.ok()) {
        print_error(text.error().text());
        return false;
    }
    std::vector<PolicyProblem> problems;
    const std::shared_ptr<const Policy> policy = Policy::load(text.value(), path, problems);
    for (const PolicyProblem& problem : problems) printf("%s\n", terminal_text(problem.text()).c_str());
    if (policy == nullptr) {
        if (problems.empty()) print_error(path + ": no policy; is the file empty?");
        return false;
    }
    if (problems.empty()) printf("%s: ok (%s)\n", terminal_text(path).c_str(), summary(text.value()).c_str());
    return problems.empty();
}

}  // namespace

int check_policies(const std::vector<std::string>& files) {
    int exit_code = kExitDone;
    for (const std::string& file : files) {
        if (!check_one(file)) exit_code = kExitNo;
    }
    return exit_code;
}

}  // namespace callgate
