// GoneChannels: a table by channel keeps none that no process has any more. They are looked for when the table has grown, since
// looking takes some milliseconds (kernel/holders.h): so it has at most kAtLeast of them, or as many as there are others.
#pragma once
#include <algorithm>

#include "kernel/holders.h"

namespace callgate {

class GoneChannels {
  public:
    // `gone` is called with the channel of each, before it is erased.
    template <typename Table, typename Gone>
    void erase_from(Table& table, Gone gone) {
        if (table.size() < due_) return;
        std::unordered_set<uint64_t> inodes;
        for (const auto& entry : table) inodes.insert(entry.first.inode);
        const auto holders = holders_of(inodes);
        std::erase_if(table, [&](const auto& entry) {
            if (holders.count(entry.first.inode)) return false;
            gone(entry.first);
            return true;
        });
        due_ = std::max(kAtLeast, 2 * table.size());
    }

  private:
    static constexpr size_t kAtLeast = 1024;
    size_t due_ = kAtLeast;
};

}  // namespace callgate
