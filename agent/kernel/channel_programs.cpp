#include "kernel/channel_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <numeric>

#include "base/clock.h"
#include "base/limits.h"
#include "channel.skel.h"
#include "kernel/libbpf_error.h"
#include "kernel/optional_programs.h"
#include "kernel/perf_events.h"
#include "kernel/requirements.h"
#include "kernel/scope_programs.h"

namespace callgate {
namespace {

// After that nobody asks any more what became of a read.
constexpr uint64_t kExpiredNanoseconds = 1'000'000'000;

uint32_t processors_of_ours() {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    sched_getaffinity(0, sizeof(allowed), &allowed);
    return CPU_COUNT(&allowed);
}

}  // namespace

struct ChannelPrograms::State {
    channel_bpf* skeleton = nullptr;
    std::vector<Link> links;  // of programs that perf events run
    ring_buffer* ring = nullptr;
    OnEvent on_event;
    std::function<void(const cg_listen_event&)> on_listen;
    int channels = -1, holds = -1, governed = -1, readers = -1, passed = -1, told = -1, counters = -1;

    // Every record begins with its kind.
    void hand_out(const void* data, size_t bytes) {
        uint32_t kind = bytes >= sizeof(kind) ? *static_cast<const uint32_t*>(data) : 0;
        if (kind < CG_EVENT_LISTEN) {
            if (bytes >= sizeof(cg_event)) on_event(*static_cast<const cg_event*>(data));
        } else if (bytes >= sizeof(cg_listen_event) && on_listen) {
            on_listen(*static_cast<const cg_listen_event*>(data));
        }
    }

    // Not those of single system calls (syscalls/sys_exit_read): since Linux 7 these run programs that may be preempted as well.
    Status attach_to_events() {
        const auto& programs = skeleton->progs;
        for (const auto& [program, event] : {std::pair(programs.on_exec_unpreempted, "sched/sched_process_exec"),
                                             std::pair(programs.on_read_unpreempted, "raw_syscalls/sys_exit"),
                                             std::pair(programs.on_exit_unpreempted, "sched/sched_process_exit")})
            links.push_back(TRY(attach_to_event(program, event)));
        return {};
    }

    // Those that wait, and the one that knows who belongs to a tree. Some of them are not loaded on this kernel.
    std::array<const bpf_program*, 7> programs_that_count() const {
        const auto& programs = skeleton->progs;
        return {programs.on_fork,
                programs.on_exec,
                programs.on_read,
                programs.on_exit,
                programs.on_exec_unpreempted,
                programs.on_read_unpreempted,
                programs.on_exit_unpreempted};
    }

    ~State() {
        links.clear();
        if (ring) ring_buffer__free(ring);
        if (skeleton) channel_bpf__destroy(skeleton);
    }
};

ChannelPrograms::ChannelPrograms() : state_(std::make_unique<State>()) {}
ChannelPrograms::~ChannelPrograms() = default;

Result<std::unique_ptr<ChannelPrograms>> ChannelPrograms::start(const Scope& scope, OnEvent on_event) {
    constexpr char kObject[] = "channel.bpf.o";
    TRY_VOID(check_scope(scope));
    if (const auto lack = kernel_lacks()) return Error::refused(lack->what, lack->remedy);
    collect_complaints();
    std::unique_ptr<ChannelPrograms> programs(new ChannelPrograms());
    State& state = *programs->state_;
    state.on_event = std::move(on_event);
    state.skeleton = channel_bpf__open();
    if (!state.skeleton) return libbpf_error("open", kObject, -errno);

    write_scope(*state.skeleton->rodata, scope);
    state.skeleton->rodata->hold_ns_max = kHoldNanoseconds;
    state.skeleton->rodata->exit_holds_max = processors_of_ours() / 2;
    bpf_program__set_autoload(state.skeleton->progs.on_fork, !scope.trees.empty());
    const Waiting waiting = [&] {
        const KernelTypes kernel;
        const Waiting how = how_programs_wait(kernel);
        leave_out_what_is_missing(*state.skeleton, kernel, how);
        return how;
    }();
    if (int error = channel_bpf__load(state.skeleton)) return libbpf_error("load", kObject, error);

    state.channels = bpf_map__fd(state.skeleton->maps.channels);
    state.holds = bpf_map__fd(state.skeleton->maps.holds);
    state.governed = bpf_map__fd(state.skeleton->maps.governed);
    state.readers = bpf_map__fd(state.skeleton->maps.readers);
    state.passed = bpf_map__fd(state.skeleton->maps.passed);
    state.told = bpf_map__fd(state.skeleton->maps.told);
    for (uint32_t& each : state.skeleton->bss->agent_processors) each = UINT32_MAX;
    state.counters = bpf_map__fd(state.skeleton->maps.counters);
    state.ring = ring_buffer__new(
        bpf_map__fd(state.skeleton->maps.events),
        [](void* context, void* data, size_t bytes) {
            static_cast<State*>(context)->hand_out(data, bytes);
            return 0;
        },
        &state, nullptr);
    if (!state.ring) return Error::system("ring_buffer__new", "events", errno);
    if (int error = channel_bpf__attach(state.skeleton)) return libbpf_error("attach", kObject, error);
    if (waiting == Waiting::on_events) TRY_VOID(state.attach_to_events());

    // Forks are followed from here on; what the trees hold already is added now.
    programs->look_through_trees(scope);
    return programs;
}

// A process that is forked meanwhile is found by the program, or by the second pass.
void ChannelPrograms::look_through_trees(const Scope& scope) {
    if (scope.trees.empty()) return;
    const int scope_pids = bpf_map__fd(state_->skeleton->maps.scope_pids);
    const uint32_t one = 1;
    for (int pass = 0; pass < 2; ++pass)
        for (pid_t pid : descendants_of(scope.trees)) {
            const uint32_t key = pid;
            if (pid != getpid()) bpf_map_update_elem(scope_pids, &key, &one, BPF_ANY);
        }
}

int ChannelPrograms::ring_fd() const { return ring_buffer__epoll_fd(state_->ring); }
int ChannelPrograms::poll() { return ring_buffer__consume(state_->ring); }

void ChannelPrograms::enable_holds(bool enabled) { state_->skeleton->bss->hold_enabled = enabled; }

Status ChannelPrograms::watch(const cg_channel_key& channel, const cg_channel& value) {
    if (bpf_map_update_elem(state_->channels, &channel, &value, BPF_ANY))
        return Error::system("bpf_map_update_elem", "channels", errno);
    bpf_map_delete_elem(state_->told, &channel);
    return {};
}

void ChannelPrograms::forget(const cg_channel_key& channel) {
    bpf_map_delete_elem(state_->channels, &channel);
    bpf_map_delete_elem(state_->told, &channel);
}

std::optional<cg_channel> ChannelPrograms::find(const cg_channel_key& channel) const {
    cg_channel value;
    if (bpf_map_lookup_elem(state_->channels, &channel, &value)) return std::nullopt;
    return value;
}

void ChannelPrograms::watch_accepted(bool enabled) { state_->skeleton->bss->accepted_watched = enabled; }

void ChannelPrograms::decide_reader(const cg_reader_key& key, const cg_reader& reader) {
    bpf_map_update_elem(state_->readers, &key, &reader, BPF_ANY);
}

void ChannelPrograms::forget_reader(const cg_reader_key& key) { bpf_map_delete_elem(state_->readers, &key); }

void ChannelPrograms::pass(const cg_channel_key& channel) {
    uint8_t one = 1;
    bpf_map_update_elem(state_->passed, &channel, &one, BPF_ANY);
}

void ChannelPrograms::answered_from_here(int thread) {
    uint32_t number = thread;
    LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &number, .ctx_size_in = sizeof(number));
    (void)bpf_prog_test_run_opts(bpf_program__fd(state_->skeleton->progs.note_agent_thread), &options);
}

void ChannelPrograms::sleeps_here(int thread) {
    state_->skeleton->bss->agent_processors[thread] = static_cast<uint32_t>(sched_getcpu());
}

void ChannelPrograms::govern(pid_t pid) {
    uint32_t key = pid, one = 1;
    bpf_map_update_elem(state_->governed, &key, &one, BPF_ANY);
}

void ChannelPrograms::ungovern(pid_t pid) {
    uint32_t key = pid;
    bpf_map_delete_elem(state_->governed, &key);
}

std::optional<cg_hold> ChannelPrograms::hold_of(pid_t tid) const {
    cg_hold hold;
    uint32_t key = tid;
    if (bpf_map_lookup_elem(state_->holds, &key, &hold)) return std::nullopt;
    return hold;
}

void ChannelPrograms::release(pid_t tid) {
    uint32_t key = tid;
    bpf_map_delete_elem(state_->holds, &key);  // an absent entry ends the wait as well
}

void ChannelPrograms::forget_expired_holds() {
    const auto before = static_cast<uint64_t>(monotonic_ns()) - kExpiredNanoseconds;
    std::vector<uint32_t> old;
    uint32_t key, next;
    for (int found = bpf_map_get_next_key(state_->holds, nullptr, &next); found == 0 && old.size() < CG_HOLDS_MAX;
         found = bpf_map_get_next_key(state_->holds, &key, &next)) {
        key = next;
        cg_hold hold;
        if (bpf_map_lookup_elem(state_->holds, &key, &hold)) continue;
        if (hold.state == CG_EXPIRED && hold.since_ns < before) old.push_back(key);
    }
    for (uint32_t tid : old) bpf_map_delete_elem(state_->holds, &tid);
}

bool ChannelPrograms::on_events() const { return !state_->links.empty(); }

ChannelPrograms::SharedMaps ChannelPrograms::shared_maps() const {
    auto& maps = state_->skeleton->maps;
    return {bpf_map__fd(maps.holds),         bpf_map__fd(maps.scope_pids), bpf_map__fd(maps.scope_cgroups),
            bpf_map__fd(maps.events),        bpf_map__fd(maps.counters),   bpf_map__fd(maps.judged_connections),
            bpf_map__fd(maps.unheld_listens)};
}

void ChannelPrograms::on_listen(std::function<void(const cg_listen_event&)> on_event) { state_->on_listen = std::move(on_event); }

uint64_t ChannelPrograms::counter(cg_counter which) const {
    std::vector<uint64_t> each(static_cast<size_t>(libbpf_num_possible_cpus()));
    const uint32_t key = which;
    if (bpf_map_lookup_elem(state_->counters, &key, each.data())) return 0;
    return std::accumulate(each.begin(), each.end(), uint64_t{0});
}

uint64_t ChannelPrograms::left_out() const {
    uint64_t sum = 0;
    for (const bpf_program* each : state_->programs_that_count()) {
        bpf_prog_info info{};
        uint32_t length = sizeof(info);
        const int fd = bpf_program__fd(each);
        if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &length) == 0) sum += info.recursion_misses;
    }
    return sum;
}

KernelCounters ChannelPrograms::counters() const {
    KernelCounters all;
    for (uint32_t which = 0; which < CG_COUNT_MAX; ++which) all.values[which] = counter(static_cast<cg_counter>(which));
    return all;
}

}  // namespace callgate
