// ScopeCgroups: the cgroups of a scope, for the kernel's programs: which cgroup each path is now.
//
// A slot of their map holds a cgroup, not its path: of a slice or a service that ends and starts again nothing would be in scope
// any more. So the paths are looked at again when something is made or removed on their way, and each second.
//
// One thread at a time, which may change the map.
#pragma once
#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace callgate {

// Refuses what is no directory of cgroup v2, and what could not become one: it lies below none. What is absent may come.
Status check_cgroups(const std::vector<std::string>& paths);
// "cgroup /sys/fs/cgroup/a, /sys/fs/cgroup/b: not there now; …"; empty where all are there.
std::string absent_cgroups(const std::vector<std::string>& paths);

class ScopeCgroups {
  public:
    // `map`: of BPF_MAP_TYPE_CGROUP_ARRAY, one slot for each path; outlives this. The paths have passed check_cgroups().
    static Result<std::unique_ptr<ScopeCgroups>> start(std::vector<std::string> paths, int map);

    // Readable when something may have changed.
    int fd() const { return inotify_.get(); }
    // Fills the slots anew where something has changed. True: one holds a cgroup that it did not hold before; what runs there
    // already was not in scope. Costs a system call where nothing has happened.
    bool follow();

  private:
    using Id = std::pair<dev_t, ino_t>;
    ScopeCgroups(std::vector<std::string> paths, int map, Fd inotify)
        : paths_(std::move(paths)), map_(map), inotify_(std::move(inotify)), slots_(paths_.size()) {}
    void watch(const std::string& path);
    std::optional<Id> fill(uint32_t slot) const;

    const std::vector<std::string> paths_;
    const int map_;
    const Fd inotify_;
    std::vector<std::optional<Id>> slots_;  // what each holds
    int64_t looked_ns_ = 0;
};

}  // namespace callgate
