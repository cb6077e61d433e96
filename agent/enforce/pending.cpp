#include "enforce/pending.h"

#include <algorithm>

#include "base/limits.h"
#include "enforce/pending_notes.h"

namespace callgate {

bool PendingTable::full() const { return requests_.size() >= kPendingMax; }

void PendingTable::add(std::string_view id_key, PendingRequest request) {
    auto [first, last] = requests_.equal_range(id_key);
    for (auto each = first; each != last; ++each) {
        if (each->second.exchange == request.exchange) each->second.shares_id = request.shares_id = true;
    }
    if (first != last) notes_suffice_ = false;
    if (makes_notes_ && notes_suffice_) append_added(notes_, state_of(id_key, request));
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
    if (out.shares_id) notes_suffice_ = false;
    if (makes_notes_ && notes_suffice_) append_taken(notes_, id_key);
    if (out.shares_id) leave_in_flight(id_key, out);
    return true;
}

bool PendingTable::has_list(std::string_view id_key) const {
    const auto is_list = [](const auto& each) { return each.second.method == "tools/list"; };
    if (id_key.empty()) return std::any_of(requests_.begin(), requests_.end(), is_list);
    const auto [first, last] = requests_.equal_range(id_key);
    return std::any_of(first, last, is_list);
}

std::string PendingTable::only_list() const {
    const auto is_list = [](const auto& each) { return each.second.method == "tools/list"; };
    const auto found = std::find_if(requests_.begin(), requests_.end(), is_list);
    const bool is_only = found != requests_.end() && std::none_of(std::next(found), requests_.end(), is_list);
    return is_only ? found->first : std::string();
}

bool PendingTable::may_be_list(std::string_view id_key) const {
    return has_list(id_key) || (!id_key.empty() && requests_.find(id_key) == requests_.end());
}

// Whichever of those with one id this answered, the other one may be the one that holds the place in flight.
void PendingTable::leave_in_flight(std::string_view id_key, PendingRequest& answered) {
    auto [first, last] = requests_.equal_range(id_key);
    const auto other = std::find_if(first, last, [&](const auto& each) { return each.second.exchange == answered.exchange; });
    if (other == last) return;
    const auto is_window = [](const CounterUse& use) { return !use.is_in_flight; };
    const auto begin = std::stable_partition(answered.charged.begin(), answered.charged.end(), is_window);
    other->second.charged.insert(other->second.charged.end(), begin, answered.charged.end());
    answered.charged.erase(begin, answered.charged.end());
}

void PendingTable::end_of_session() {
    if (counters_ == nullptr) return;
    for (auto& [id, request] : requests_) {
        counters_->release(request.charged);
        std::erase_if(request.charged, [](const CounterUse& use) { return use.is_in_flight; });
    }
}

std::vector<PendingState> PendingTable::save() const {
    std::vector<PendingState> all;
    for (const auto& [id_key, request] : requests_) all.push_back(state_of(id_key, request));
    return all;
}

PendingState PendingTable::state_of(std::string_view id_key, const PendingRequest& request) const {
    PendingState state;
    state.id_key = id_key;
    state.record = request.record.view();
    state.method = request.method;
    state.tool = request.tool;
    state.forwarded_ns = request.forwarded_ns;
    state.shares_id = request.shares_id;
    for (const CounterUse& use : request.charged) {
        if (counters_ != nullptr) state.charged.push_back(counters_->keep(use));
    }
    return state;
}

bool PendingTable::take_notes(std::string& notes) {
    notes += notes_;
    notes_.clear();
    return std::exchange(notes_suffice_, true);
}

void PendingTable::restore(std::vector<PendingState> requests, int64_t now_ns) {
    for (PendingState& state : requests) {
        PendingRequest request;
        state.record.copy(request.record.text.data(), request.record.text.size());
        request.method = std::move(state.method);
        request.tool = std::move(state.tool);
        request.forwarded_ns = state.forwarded_ns;
        request.shares_id = state.shares_id;
        for (const KeptUse& kept : state.charged) {
            CounterUse use = kept.use;
            use.counter = *names_.insert(kept.counter).first;
            if (counters_ != nullptr && counters_->adopt(kept.key, use, now_ns)) request.charged.push_back(use);
        }
        requests_.emplace(std::move(state.id_key), std::move(request));
    }
}

}  // namespace callgate
