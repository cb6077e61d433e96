#include "enforce/pending.h"

#include "base/limits.h"

namespace callgate {

bool PendingTable::full() const { return requests_.size() >= kPendingMax; }

void PendingTable::add(std::string_view id_key, PendingRequest request) {
    auto [first, last] = requests_.equal_range(id_key);
    for (auto each = first; each != last; ++each) {
        if (each->second.exchange == request.exchange) each->second.shares_id = request.shares_id = true;
    }
    requests_.emplace(std::string(id_key), std::move(request));
}

bool PendingTable::take(std::string_view id_key, PendingRequest& out) {
    return take_oldest(id_key, [](const PendingRequest&) { return true; }, out);
}

bool PendingTable::take(std::string_view id_key, uint64_t exchange, PendingRequest& out) {
    return take_oldest(id_key, [&](const PendingRequest& request) { return request.exchange == exchange; }, out);
}

template <typename Fits>
bool PendingTable::take_oldest(std::string_view id_key, const Fits& fits, PendingRequest& out) {
    auto [first, last] = requests_.equal_range(id_key);
    auto oldest = last;
    for (auto each = first; each != last; ++each) {
        if (!fits(each->second)) continue;
        if (oldest == last || each->second.forwarded_ns < oldest->second.forwarded_ns) oldest = each;
    }
    if (oldest == last) return false;
    out = std::move(oldest->second);
    requests_.erase(oldest);
    return true;
}

}  // namespace callgate
