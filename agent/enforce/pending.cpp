#include "enforce/pending.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "enforce/pending_notes.h"

namespace callgate {
namespace {

bool is_list(const PendingRequest& request) { return request.method == "tools/list"; }

bool holds_list(const std::multimap<int64_t, PendingRequest>& same) {
    return std::any_of(same.begin(), same.end(), [](const auto& each) { return is_list(each.second); });
}

}  // namespace

bool PendingTable::full() const { return size_ >= kPendingMax; }

void PendingTable::insert(std::string_view id_key, PendingRequest request) {
    auto found = requests_.find(id_key);
    if (found == requests_.end()) found = requests_.emplace(std::string(id_key), ByAge()).first;
    const int64_t age = request.forwarded_ns;
    const bool list = is_list(request);
    const auto& charged = request.charged;
    may_return_ |= std::any_of(charged.begin(), charged.end(), [](const CounterUse& use) { return use.returns_unanswered; });
    found->second.emplace(age, std::move(request));
    ++size_;
    lists_ += list;
}

void PendingTable::add(std::string_view id_key, PendingRequest request) {
    if (const auto found = requests_.find(id_key); found != requests_.end()) {
        ByAge& others = found->second;
        // Of an exchange all are marked already but where there is only one.
        const auto other = std::find_if(others.begin(), others.end(),
                                        [&](const auto& each) { return each.second.exchange == request.exchange; });
        if (other != others.end()) other->second.shares_id = request.shares_id = true;
        notes_suffice_ = false;
    }
    if (makes_notes_ && notes_suffice_) append_added(notes_, state_of(id_key, request));
    insert(id_key, std::move(request));
}

bool PendingTable::take(std::string_view id_key, PendingRequest& out) {
    return take_oldest(
        id_key, [](const PendingRequest&) { return true; }, out);
}

bool PendingTable::take(std::string_view id_key, uint64_t exchange, PendingRequest& out) {
    return take_oldest(
        id_key, [&](const PendingRequest& request) { return request.exchange == exchange; }, out);
}

template <typename Fits>
bool PendingTable::take_oldest(std::string_view id_key, const Fits& fits, PendingRequest& out) {
    const auto found = requests_.find(id_key);
    if (found == requests_.end()) return false;
    ByAge& same = found->second;
    const auto oldest = std::find_if(same.begin(), same.end(), [&](const auto& each) { return fits(each.second); });
    if (oldest == same.end()) return false;
    if (oldest->second.shares_id) notes_suffice_ = false;
    if (makes_notes_ && notes_suffice_) append_taken(notes_, id_key);
    out = std::move(oldest->second);
    same.erase(oldest);
    --size_;
    lists_ -= is_list(out);
    if (out.shares_id) leave_in_flight(same, out);
    if (same.empty()) requests_.erase(found);
    return true;
}

bool PendingTable::has_list(std::string_view id_key) const {
    if (lists_ == 0 || id_key.empty()) return lists_ > 0;
    const auto found = requests_.find(id_key);
    return found != requests_.end() && holds_list(found->second);
}

std::string PendingTable::only_list() const {
    if (lists_ != 1) return {};
    return std::find_if(requests_.begin(), requests_.end(), [](const auto& each) { return holds_list(each.second); })->first;
}

bool PendingTable::may_be_list(std::string_view id_key) const {
    return has_list(id_key) || (!id_key.empty() && requests_.find(id_key) == requests_.end());
}

// Whichever of those with one id this answered, the other one may be the one that holds the place in flight.
void PendingTable::leave_in_flight(ByAge& others, PendingRequest& answered) {
    const auto other =
        std::find_if(others.begin(), others.end(), [&](const auto& each) { return each.second.exchange == answered.exchange; });
    if (other == others.end()) return;
    const auto is_window = [](const CounterUse& use) { return !use.is_in_flight; };
    const auto begin = std::stable_partition(answered.charged.begin(), answered.charged.end(), is_window);
    other->second.charged.insert(other->second.charged.end(), begin, answered.charged.end());
    answered.charged.erase(begin, answered.charged.end());
}

void PendingTable::end_of_session() {
    if (counters_ == nullptr) return;
    for (auto& [id, same] : requests_) {
        for (auto& [age, request] : same) {
            counters_->release(request.charged);
            std::erase_if(request.charged, [](const CounterUse& use) { return use.is_in_flight; });
        }
    }
}

void PendingTable::never_answered() {
    if (counters_ == nullptr) return;
    for (auto& [id, same] : requests_) {
        for (auto& [age, request] : same) {
            const std::vector<CounterUse> charged = std::exchange(request.charged, {});
            if (charged.empty()) continue;
            notes_suffice_ = false;
            counters_->settle(charged, request.shares_id ? CallEnd::done : CallEnd::unanswered);
        }
    }
}

void PendingTable::cancel(std::string_view id_key) {
    const auto found = requests_.find(id_key);
    if (counters_ == nullptr || found == requests_.end() || found->second.size() != 1) return;
    PendingRequest& request = found->second.begin()->second;
    if (request.shares_id || !counters_->cancel(request.charged)) return;
    if (!makes_notes_ || !notes_suffice_) return;
    append_taken(notes_, id_key);
    append_added(notes_, state_of(id_key, request));
}

void PendingTable::maybe_answered() {
    if (!std::exchange(may_return_, false)) return;  // one line after another may be such
    for (auto& [id, same] : requests_) {
        for (auto& [age, request] : same) {
            for (CounterUse& use : request.charged) {
                if (std::exchange(use.returns_unanswered, false)) notes_suffice_ = false;
            }
        }
    }
}

std::vector<PendingState> PendingTable::save() const {
    std::vector<PendingState> all;
    for (const auto& [id_key, same] : requests_)
        for (const auto& [age, request] : same) all.push_back(state_of(id_key, request));
    return all;
}

std::vector<PendingState> PendingTable::leave() {
    std::vector<PendingState> all = save();
    end_of_session();
    requests_.clear();
    size_ = lists_ = 0;
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
    state.exchange = request.exchange;
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
        request.exchange = state.exchange;
        for (const KeptUse& kept : state.charged) {
            CounterUse use = kept.use;
            use.counter = *names_.insert(kept.counter).first;
            if (counters_ != nullptr && counters_->adopt(kept.key, use, now_ns)) request.charged.push_back(use);
        }
        insert(state.id_key, std::move(request));
    }
}

}  // namespace callgate
