#include "kernel/scope_cgroups.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>

#include "base/clock.h"
#include "base/directory.h"

namespace callgate {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kLookNanoseconds = 1'000'000'000;
constexpr uint32_t kEvents = IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_ONLYDIR;

}  // namespace

Status check_cgroups(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
        fs::path there = path;
        while (is_absent(there.string()) && there.has_relative_path()) there = there.parent_path();
        struct statfs mount;
        struct stat status;
        const bool is_cgroup = ::statfs(there.c_str(), &mount) == 0 && mount.f_type == CGROUP2_SUPER_MAGIC &&
                               ::stat(there.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
        if (!is_cgroup) return Error::invalid("cgroup " + path, "is not a directory of cgroup v2");
    }
    return {};
}

std::string absent_cgroups(const std::vector<std::string>& paths) {
    std::string absent;
    for (const std::string& path : paths)
        if (is_absent(path)) absent += (absent.empty() ? "cgroup " : ", ") + path;
    return absent.empty() ? absent : absent + ": not there now; what runs there is governed once it is";
}

Result<std::unique_ptr<ScopeCgroups>> ScopeCgroups::start(std::vector<std::string> paths, int map) {
    Fd inotify = Fd::adopt(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!inotify) return Error::system("inotify_init1", "", errno);
    std::unique_ptr<ScopeCgroups> cgroups(new ScopeCgroups(std::move(paths), map, std::move(inotify)));
    cgroups->follow();
    return cgroups;
}

bool ScopeCgroups::follow() {
    if (paths_.empty()) return false;
    alignas(inotify_event) std::array<char, 4096> events;
    bool is_due = monotonic_ns() - looked_ns_ > kLookNanoseconds;
    while (::read(inotify_.get(), events.data(), events.size()) > 0) is_due = true;
    if (!is_due) return false;
    looked_ns_ = monotonic_ns();
    bool found = false;
    for (uint32_t slot = 0; slot < paths_.size(); ++slot) {
        watch(paths_[slot]);  // first: what comes after it is an event
        const std::optional<Id> before = slots_[slot];
        slots_[slot] = fill(slot);
        found |= slots_[slot] && slots_[slot] != before;
    }
    return found;
}

// Every directory above it, from the root on, so that none can be made unseen between two looks.
void ScopeCgroups::watch(const std::string& path) {
    const fs::path whole(path);
    fs::path above;
    for (const fs::path& name : whole.parent_path()) {
        above /= name;
        if (inotify_add_watch(inotify_.get(), above.c_str(), kEvents) < 0) return;
    }
}

// What the slot holds then.
std::optional<ScopeCgroups::Id> ScopeCgroups::fill(uint32_t slot) const {
    const Fd directory = Fd::adopt(::open(paths_[slot].c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat status;
    if (directory && ::fstat(directory.get(), &status) == 0) {
        const Id id{status.st_dev, status.st_ino};
        if (id == slots_[slot]) return id;
        const uint32_t fd = directory.get();
        if (bpf_map_update_elem(map_, &slot, &fd, BPF_ANY) == 0) return id;
    }
    if (slots_[slot]) (void)bpf_map_delete_elem(map_, &slot);
    return std::nullopt;
}

}  // namespace callgate
