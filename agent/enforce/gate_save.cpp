// What a gate leaves to the gate of another agent, and how that one begins with it.
#include <algorithm>

#include "base/clock.h"
#include "enforce/gate.h"

namespace callgate {

GateState Gate::save() const {
    GateState state;
    state.counts = counts_;
    state.records = records_;
    state.opening = opening_.save();
    state.client_rest = client_framer_.rest();
    state.client_skipped = client_framer_.skipped_bytes();
    state.server_rest = server_framer_.rest();
    state.server_skipped = server_framer_.skipped_bytes();
    state.answers_waiting = answers_waiting_;
    state.server_head = server_head_;
    state.server_line_open = server_line_open_;
    state.server_spoke = server_spoke_;
    state.wants_release = wants_release_;
    state.modern = modern_;
    state.client_name = client_name_;
    state.client_version = client_version_;
    state.annotations = annotations_.all();
    state.pins = pins_.save();
    state.pending = pending_.save();
    for (const auto& call : held_)
        state.held.push_back({call->line, call->read_ns, call->is_waiting() ? call->deadline_ns() : call->kept_deadline_ns});
    return state;
}

GateFigures Gate::figures() const {
    GateFigures figures;
    figures.counts = counts_;
    figures.client_skipped = client_framer_.skipped_bytes();
    figures.server_line_open = server_line_open_;
    figures.server_spoke = server_spoke_;
    figures.wants_release = wants_release_;
    figures.modern = modern_;
    figures.records = records_;
    return figures;
}

bool Gate::restore(GateState state) {
    if (!opening_.restore(std::move(state.opening)) || state.counts.held != state.held.size()) return false;
    counts_ = state.counts;
    records_ = state.records;
    client_framer_.skip_on(state.client_skipped);
    server_framer_.skip_on(state.server_skipped);
    // They end in no LF, so nothing is judged now.
    if (state.client_rest.find('\n') != std::string::npos || state.server_rest.find('\n') != std::string::npos) return false;
    client_framer_.feed(state.client_rest, client_lines_);
    server_framer_.feed(state.server_rest, server_lines_);
    answers_waiting_ = std::move(state.answers_waiting);
    server_head_ = std::move(state.server_head);
    server_line_open_ = state.server_line_open;
    server_spoke_ = state.server_spoke;
    wants_release_ = state.wants_release;
    modern_ = state.modern;
    client_name_ = std::move(state.client_name);
    client_version_ = std::move(state.client_version);
    caller_.client_name = client_name_;
    caller_.client_version = client_version_;
    for (const auto& [tool, annotations] : state.annotations) annotations_.remember(tool, annotations);
    pins_.restore(state.pins);
    pending_.restore(std::move(state.pending), realtime_ns());
    for (HeldState& each : state.held) {
        HeldCall& call = *held_.emplace_back(std::make_unique<HeldCall>(*this));
        call.id_key = held_parser_.parse(each.line).id_key;
        call.line = std::move(each.line);
        call.read_ns = each.read_ns;
        call.arrived_ns = monotonic_ns() - std::max<int64_t>(realtime_ns() - each.read_ns, 0);
        call.kept_deadline_ns = each.deadline_ns;
        held_bytes_ += call.line.size();
    }
    return true;
}

std::vector<int64_t> Gate::held_read_ns() const {
    std::vector<int64_t> times;
    for (const auto& call : held_) times.push_back(call->read_ns);
    return times;
}

void Gate::wait_again(size_t held) {
    HeldCall& call = **std::next(held_.begin(), static_cast<ptrdiff_t>(held));
    counters_.waiting().wait(kLineOfBefore, call, 0, call.kept_deadline_ns);
}

}  // namespace callgate
