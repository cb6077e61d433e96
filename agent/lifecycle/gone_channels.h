// GoneChannels: a table by channel keeps none that no process has any more. They are looked for when the table has grown and
// not for a while, since looking takes some milliseconds, and more where many processes run (kernel/holders.h).
#pragma once
#include <algorithm>

#include "base/clock.h"
#include "kernel/holders.h"

namespace callgate {

class GoneChannels {
  public:
    // `gone` is called with the channel of each, before it is erased.
    template <typename Table, typename Gone>
    void erase_from(Table& table, Gone gone) {
        const int64_t now = monotonic_ns();
        if (table.size() < due_ || now < not_before_ns_) return;
        std::unordered_set<uint64_t> inodes;
        for (const auto& entry : table) inodes.insert(entry.first.inode);
        const auto holders = holders_of(inodes);
        std::erase_if(table, [&](const auto& entry) {
            if (holders.count(entry.first.inode)) return false;
            gone(entry.first);
            return true;
        });
        due_ = std::max(kAtLeast, 2 * table.size());
        not_before_ns_ = now + kInterval;
    }

  private:
    static constexpr size_t kAtLeast = 1024;
    static constexpr int64_t kInterval = 5'000'000'000;
    size_t due_ = kAtLeast;
    int64_t not_before_ns_ = 0;
};

}  // namespace callgate
