#include "policy/waiting_calls.h"

#include <algorithm>
#include <vector>

namespace callgate {

WaitingCall::~WaitingCall() {
    if (line_ != nullptr) line_->leave(*this);
}

WaitingCalls::~WaitingCalls() {
    for (auto& [key, line] : lines_) {
        for (WaitingCall* call : line) call->line_ = nullptr;
    }
}

void WaitingCalls::wait(std::string_view key, WaitingCall& call, int64_t due_ns, int64_t deadline_ns) {
    const bool stays = call.line_ == this && call.key_ == key;
    if (!stays) {
        if (call.line_ != nullptr) call.line_->leave(call);
        Line& line = lines_.try_emplace(std::string(key)).first->second;
        call.place_ = line.insert(line.end(), &call);
        call.key_ = key;
        call.line_ = this;
        ++size_;
    }
    call.due_ns_ = due_ns;
    call.deadline_ns_ = deadline_ns;
    const bool is_first = lines_.find(key)->second.front() == &call;
    wake_at(is_first ? std::min(due_ns, deadline_ns) : deadline_ns);
}

void WaitingCalls::leave(WaitingCall& call) {
    if (call.line_ != this) return;
    const auto found = lines_.find(call.key_);
    const bool was_first = found->second.front() == &call;
    found->second.erase(call.place_);
    call.line_ = nullptr;
    --size_;
    if (found->second.empty()) {
        lines_.erase(found);
    } else if (was_first) {
        // Who comes next has not been tried yet.
        found->second.front()->due_ns_ = 0;
        wake_at(0);
    }
}

void WaitingCalls::room_made(std::string_view key) {
    const auto found = lines_.find(key);
    if (found == lines_.end()) return;
    found->second.front()->due_ns_ = 0;
    wake_at(0);
}

void WaitingCalls::run(int64_t now_ns) {
    armed_for_ns_ = INT64_MIN;  // until it is known what is next
    std::vector<std::string> keys;
    for (const auto& [key, line] : lines_) keys.push_back(key);
    for (const std::string& key : keys) run_line(key, now_ns);
    armed_for_ns_ = INT64_MAX;
    for (const auto& [key, line] : lines_) {
        int64_t next_ns = line.front()->due_ns_;
        for (const WaitingCall* call : line) next_ns = std::min(next_ns, call->deadline_ns_);
        wake_at(next_ns);
    }
}

void WaitingCalls::run_line(const std::string& key, int64_t now_ns) {
    // From the front, until one has to stay.
    for (auto found = lines_.find(key); found != lines_.end(); found = lines_.find(key)) {
        WaitingCall* first = found->second.front();
        if (first->due_ns_ > now_ns && first->deadline_ns_ > now_ns) break;
        first->turn(key, now_ns);
        found = lines_.find(key);
        if (found == lines_.end()) return;
        if (found->second.front() == first) break;
    }
    // Then those whose time is over, wherever they stand. A turn may destroy others, so each is looked for anew.
    const WaitingCall* last = nullptr;
    for (auto found = lines_.find(key); found != lines_.end(); found = lines_.find(key)) {
        const Line& line = found->second;
        const auto over =
            std::find_if(line.begin(), line.end(), [&](const WaitingCall* call) { return call->deadline_ns_ <= now_ns; });
        if (over == line.end()) return;
        WaitingCall* call = *over;
        if (call == last) return leave(*call);
        last = call;
        call->turn(over == line.begin() ? std::string_view(key) : std::string_view(), now_ns);
    }
}

void WaitingCalls::wake_at(int64_t at_ns) {
    if (at_ns >= armed_for_ns_) return;
    armed_for_ns_ = at_ns;
    if (wake) wake(at_ns);
}

}  // namespace callgate
