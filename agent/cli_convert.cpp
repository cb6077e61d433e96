// callgate convert FILE: a policy of any dialect in the native one.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "audit/safe_text.h"
#include "base/fd.h"
#include "cli.h"
#include "policy/dialect.h"
#include "policy/json_text.h"
#include "policy/native_form.h"
#include "policy/policy_file.h"

namespace callgate {
namespace {

constexpr mode_t kPolicyMode = 0644;

// Whole or not at all: written beside it and put in its place.
Status write_file(const std::string& path, std::string_view text) {
    std::string beside = path + ".XXXXXX";
    const Fd file = Fd::adopt(mkostemp(beside.data(), O_CLOEXEC));
    if (!file) return Error::system("create", beside, errno);
    const auto fails = [&](const char* call) {
        const int code = errno;
        unlink(beside.c_str());
        return Error::system(call, path, code);
    };
    while (!text.empty()) {
        const ssize_t written = write(file.get(), text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return fails("write");
        text.remove_prefix(static_cast<size_t>(written));
    }
    if (fchmod(file.get(), kPolicyMode) != 0) return fails("chmod");
    if (fsync(file.get()) != 0) return fails("fsync");
    if (rename(beside.c_str(), path.c_str()) != 0) return fails("rename");
    return {};
}

int report(const std::vector<PolicyProblem>& problems) {
    for (const PolicyProblem& problem : problems) fprintf(stderr, "%s\n", terminal_text(problem.text()).c_str());
    return kExitNo;
}

}  // namespace

int convert_policy(const ConvertOptions& options) {
    const PolicyFile file = read_policy_file(options.policy_file);
    std::vector<PolicyProblem> problems;
    if (!file.problem.empty()) problems.push_back({options.policy_file, 0, 0, "", file.problem});
    if (file.text) static_cast<void>(Policy::load(*file.text, options.policy_file, problems));
    if (!problems.empty()) return report(problems);
    ProblemList none;
    std::optional<JsonValue> tree = read_policy_tree(*file.text, options.policy_file, none);
    to_native_form(*tree);
    const std::string text = safe_json_document(json_text(*tree));
    // What comes out is a policy: it is longer, so that a bound may be passed.
    if (!Policy::load(text, options.policy_file + " in the native dialect.json", problems)) return report(problems);
    if (options.output.empty()) {
        fputs(text.c_str(), stdout);
        return fflush(stdout) == 0 ? kExitDone : kExitInternal;
    }
    if (const Status written = write_file(options.output, text); !written) {
        print_error(written.error().text());
        return kExitNo;
    }
    return kExitDone;
}

}  // namespace callgate
