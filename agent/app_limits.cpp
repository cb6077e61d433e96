// What this process may have, and for how many sessions that does. At a limit a server is reported blind, and
// its policy's on_blind decides.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>

#include "app_parts.h"
#include "audit/wake_up.h"
#include "io/ledger_size.h"
#include "kernel/scope.h"

namespace callgate {
namespace {

// Room for fewer is said.
constexpr uint64_t kSessionsExpected = 512;
// A session needs four descriptors, and where it is kept for the next agent eleven; the agent itself some
// dozens.
constexpr uint64_t kDescriptorsOfAgent = 256, kDescriptorsOfSession = 11;
// Memory: while BPF programs are loaded the types of the kernel are most of it; a session under load, its
// ledger included.
constexpr uint64_t kMebibyte = uint64_t{1} << 20;
constexpr uint64_t kMemoryOfAgent = 96 * kMebibyte, kMemoryOfSession = 330 * 1024;
// Address space: code, libraries, and stacks of eight threads.
constexpr uint64_t kAddressesOfAgent = 512 * kMebibyte;
// The rings of submissions and completions, which kernels before 5.12 and those without CAP_IPC_LOCK are
// charged for.
constexpr uint64_t kLockedOfAgent = kMebibyte;
// Its threads, those of the agent that follows it, and what keeps both.
constexpr uint64_t kTasksOfAgent = 48;

constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();

void make_room_for_descriptors(uint64_t limit) {
    const int last = static_cast<int>(std::min(limit, uint64_t{kDescriptorsAtOnce})) - 1;
    (void)Fd::adopt(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, last));
}

uint64_t most(const rlimit& limit) { return limit.rlim_max == RLIM_INFINITY ? kUnlimited : uint64_t{limit.rlim_max}; }

Result<uint64_t> raised(__rlimit_resource resource, const char* name) {
    rlimit limit;
    if (getrlimit(resource, &limit)) return Error::system("getrlimit", name, errno);
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(resource, &limit)) return Error::system("setrlimit", name, errno);
    return most(limit);
}

// An agent raises its own when it starts.
Result<uint64_t> limit_of(std::optional<pid_t> agent, __rlimit_resource resource, const char* name) {
    if (!agent) return raised(resource, name);
    rlimit limit;
    if (prlimit(*agent, resource, nullptr, &limit)) return Error::system("prlimit", name, errno);
    return most(limit);
}

struct Limit {
    std::string name;    // for doctor: "descriptors"
    std::string what;    // "the limit of open files (RLIMIT_NOFILE)"
    std::string remedy;  // "raise LimitNOFILE= in the unit"
    uint64_t value, of_agent, of_session;
};

Check check(const Limit& limit) {
    if (limit.value == kUnlimited) return {limit.name, CheckState::ok, "no limit", {}};
    const std::string now = limit.what + " is " + std::to_string(limit.value);
    const uint64_t least = limit.of_agent + limit.of_session;
    if (limit.value < least)
        return {limit.name, CheckState::failed, now + ": too low for a single session, which takes " + std::to_string(least),
                limit.remedy};
    if (!limit.of_session) return {limit.name, CheckState::ok, now, {}};
    const uint64_t room = (limit.value - limit.of_agent) / limit.of_session;
    const std::string detail = now + ": room for " + std::to_string(room) + " sessions";
    if (room < kSessionsExpected) return {limit.name, CheckState::degraded, detail, limit.remedy};
    return {limit.name, CheckState::ok, detail, {}};
}

struct CgroupFile {
    const char *controller, *name;  // no controller: of v2
};

// The smallest limit from a process's cgroup up, in v2 or v1, and where it stands.
std::pair<uint64_t, std::string> least_of_cgroup(pid_t pid, std::initializer_list<CgroupFile> files) {
    constexpr uint64_t kNoLimitInVersion1 = uint64_t{1} << 62;  // there it is a number too, near 2^63
    std::pair<uint64_t, std::string> least{kUnlimited, {}};
    for (const auto& [controller, name] : files) {
        const std::string mount = cgroup_mount(controller), path = cgroup_path(pid, controller);
        if (mount.empty()) continue;
        // A container's own cgroup is the root of what is mounted there.
        for (std::filesystem::path at = path.size() > 1 ? mount + path : mount;; at = at.parent_path()) {
            const std::string file = (at / name).string();
            uint64_t limit = 0;
            if (std::ifstream(file) >> limit && limit < std::min(least.first, kNoLimitInVersion1)) least = {limit, file};
            if (at.string().size() <= mount.size()) break;
        }
    }
    return least;
}

}  // namespace

void prepare_process() {
    if (const Result<uint64_t> limit = raised(RLIMIT_NOFILE, "RLIMIT_NOFILE")) make_room_for_descriptors(limit.value());
    WakeUp::prepare_process();
}

Result<std::vector<Check>> limit_checks(std::optional<pid_t> agent) {
    const uint64_t descriptors = TRY(limit_of(agent, RLIMIT_NOFILE, "RLIMIT_NOFILE"));
    const uint64_t addresses = TRY(limit_of(agent, RLIMIT_AS, "RLIMIT_AS"));
    const uint64_t locked = TRY(limit_of(agent, RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK"));
    const pid_t pid = agent.value_or(getpid());
    const std::string whose = agent ? " of the agent that runs" : "";
    const auto [memory, memory_file] = least_of_cgroup(pid, {{"", "memory.max"}, {"memory", "memory.limit_in_bytes"}});
    const auto [tasks, tasks_file] = least_of_cgroup(pid, {{"", "pids.max"}, {"pids", "pids.max"}});
    return std::vector<Check>{
        check({"descriptors", "the limit of open files (RLIMIT_NOFILE)" + whose,
               "raise LimitNOFILE= in the unit, or \"ulimit -Hn\"", descriptors, kDescriptorsOfAgent, kDescriptorsOfSession}),
        check({"address space", "the limit of address space (RLIMIT_AS)" + whose,
               "leave LimitAS= out of the unit, or \"ulimit -Hv unlimited\": MemoryMax= limits what is used", addresses,
               kAddressesOfAgent, ledger_address_bytes()}),
        check({"locked memory", "the limit of locked memory (RLIMIT_MEMLOCK)" + whose,
               "raise LimitMEMLOCK= in the unit, or \"ulimit -Hl\"", locked, kLockedOfAgent, 0}),
        check({"memory", "the limit of memory (" + memory_file + ")" + whose,
               "raise MemoryMax= in the unit, or the memory of the container", memory, kMemoryOfAgent, kMemoryOfSession}),
        check({"tasks", "the limit of processes and threads (" + tasks_file + ")" + whose, "raise TasksMax= in the unit", tasks,
               kTasksOfAgent, 0}),
    };
}

Status check_limits(std::vector<PolicyProblem>& problems) {
    const std::vector<Check> checks = TRY(limit_checks({}));
    rlimit descriptors;
    if (!getrlimit(RLIMIT_NOFILE, &descriptors)) make_room_for_descriptors(descriptors.rlim_cur);
    for (const Check& each : checks) {
        const std::string text = each.detail + "; " + each.remedy;
        if (each.state == CheckState::failed) return Error::refused("limits", text);
        if (each.state == CheckState::degraded) problems.push_back({"limits", 0, 0, "", text});
    }
    return {};
}

}  // namespace callgate
