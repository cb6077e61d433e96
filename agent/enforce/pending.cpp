#include "enforce/pending.h"

#include "base/limits.h"

namespace callgate {

bool PendingTable::full() const { return requests_.size() >= kPendingMax; }

void PendingTable::add(std::string_view id_key, PendingRequest request) {
    requests_.emplace(std::string(id_key), std::move(request));
}

bool PendingTable::take(std::string_view id_key, PendingRequest& out) {
    auto [first, last] = requests_.equal_range(id_key);
    if (first == last) return false;
    auto oldest = first;
    for (auto each = first; each != last; ++each)
        if (each->second.forwarded_ns < oldest->second.forwarded_ns) oldest = each;
    out = std::move(oldest->second);
    requests_.erase(oldest);
    return true;
}

}  // namespace callgate
