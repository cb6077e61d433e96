#include "lifecycle/server_exits.h"

#include <sys/wait.h>

#include "base/clock.h"

namespace callgate {
namespace {

// A parent may be waiting meanwhile.
constexpr std::chrono::microseconds kLookInterval{100};

// It has closed its files. Until then nobody can tell whether another process has them too.
bool is_zombie(pid_t pid) {
    siginfo_t info{};
    return waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 && info.si_pid == pid;
}

}  // namespace

void ServerExits::add(std::string session, pid_t pid, int64_t since_ns) {
    endings_.push_back({std::move(session), pid, since_ns});
    if (endings_.size() == 1) look();
}

bool ServerExits::is_over(Ending& ending) {
    bool delivered = is_zombie(ending.pid) && delivered_(ending.session);
    bool twice = delivered && ending.was_delivered;
    ending.was_delivered = delivered;
    bool late = monotonic_ns() - ending.since_ns > kExitNanoseconds;
    if (!twice && !late) return false;
    if (waitpid(ending.pid, nullptr, __WALL | WNOHANG) == 0) return false;  // another of its threads is still ending
    if (!twice) ++overdue_;
    return true;
}

void ServerExits::look() {
    std::erase_if(endings_, [this](Ending& ending) { return is_over(ending); });
    if (!endings_.empty()) ring_.after(kLookInterval, [this] { look(); });
}

}  // namespace callgate
