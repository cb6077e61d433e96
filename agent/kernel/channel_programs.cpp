#include "kernel/channel_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cstdarg>

#include "base/limits.h"
#include "channel.skel.h"

namespace callgate {
namespace {

// libbpf's last complaint, so that a refused program is explained by the verifier's own words.
thread_local std::string last_complaint;

int remember_complaint(libbpf_print_level level, const char* format, va_list arguments) {
    if (level != LIBBPF_WARN) return 0;
    char line[1024];
    int length = vsnprintf(line, sizeof(line), format, arguments);
    if (last_complaint.size() < 8192) last_complaint += line;
    return length;
}

Error libbpf_error(const char* call, int code) {
    Error error = Error::system(call, "channel.bpf.o", -code);
    if (!last_complaint.empty()) error.where += " (" + last_complaint.substr(0, 2000) + ")";
    return error;
}

uint32_t processors_of_ours() {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    sched_getaffinity(0, sizeof(allowed), &allowed);
    return CPU_COUNT(&allowed);
}

}  // namespace

struct ChannelPrograms::State {
    channel_bpf* skeleton = nullptr;
    ring_buffer* ring = nullptr;
    OnEvent on_event;
    int channels = -1, holds = -1, governed = -1, counters = -1;

    ~State() {
        if (ring) ring_buffer__free(ring);
        if (skeleton) channel_bpf__destroy(skeleton);
    }
};

ChannelPrograms::ChannelPrograms() : state_(std::make_unique<State>()) {}
ChannelPrograms::~ChannelPrograms() = default;

Result<std::unique_ptr<ChannelPrograms>> ChannelPrograms::start(const Scope& scope, OnEvent on_event) {
    if (scope.cgroups.size() > CG_SCOPE_CGROUPS_MAX)
        return Error::invalid("scope", "more than " + std::to_string(CG_SCOPE_CGROUPS_MAX) + " cgroups");
    if (scope.users.size() > CG_SCOPE_USERS_MAX)
        return Error::invalid("scope", "more than " + std::to_string(CG_SCOPE_USERS_MAX) + " users");
    last_complaint.clear();
    libbpf_set_print(remember_complaint);
    std::unique_ptr<ChannelPrograms> programs(new ChannelPrograms());
    State& state = *programs->state_;
    state.on_event = std::move(on_event);
    state.skeleton = channel_bpf__open();
    if (!state.skeleton) return libbpf_error("open", -errno);

    auto* rodata = state.skeleton->rodata;
    rodata->agent_tgid = getpid();
    rodata->hold_ns_max = kHoldNanoseconds;
    rodata->exit_holds_max = processors_of_ours() / 2;
    rodata->scope_by_tree = !scope.trees.empty();
    rodata->scope_cgroup_count = scope.cgroups.size();
    rodata->scope_user_count = scope.users.size();
    for (size_t i = 0; i < scope.users.size(); ++i) rodata->scope_users[i] = scope.users[i];
    bpf_program__set_autoload(state.skeleton->progs.on_fork, !scope.trees.empty());
    if (int error = channel_bpf__load(state.skeleton)) return libbpf_error("load", error);

    state.channels = bpf_map__fd(state.skeleton->maps.channels);
    state.holds = bpf_map__fd(state.skeleton->maps.holds);
    state.governed = bpf_map__fd(state.skeleton->maps.governed);
    state.counters = bpf_map__fd(state.skeleton->maps.counters);
    int cgroups = bpf_map__fd(state.skeleton->maps.scope_cgroups);
    for (uint32_t i = 0; i < scope.cgroups.size(); ++i) {
        Fd directory = Fd::adopt(open(scope.cgroups[i].c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!directory) return Error::system("open cgroup", scope.cgroups[i], errno);
        uint32_t fd = directory.get();
        if (bpf_map_update_elem(cgroups, &i, &fd, BPF_ANY))
            return Error::invalid("cgroup " + scope.cgroups[i], "is not a directory of cgroup v2");
    }
    state.ring = ring_buffer__new(
        bpf_map__fd(state.skeleton->maps.events),
        [](void* context, void* data, size_t bytes) {
            if (bytes >= sizeof(cg_event))
                static_cast<State*>(context)->on_event(*static_cast<const cg_event*>(data));
            return 0;
        },
        &state, nullptr);
    if (!state.ring) return Error::system("ring_buffer__new", "events", errno);
    if (int error = channel_bpf__attach(state.skeleton)) return libbpf_error("attach", error);

    // Forks are followed from here on; what the trees hold already is added now. A process that is forked meanwhile
    // is found by one of the two.
    int scope_pids = bpf_map__fd(state.skeleton->maps.scope_pids);
    uint32_t one = 1;
    if (!scope.trees.empty())
        for (int pass = 0; pass < 2; ++pass)
            for (pid_t pid : descendants_of(scope.trees)) {
                uint32_t key = pid;
                if (pid != getpid()) bpf_map_update_elem(scope_pids, &key, &one, BPF_ANY);
            }
    return programs;
}

int ChannelPrograms::ring_fd() const { return ring_buffer__epoll_fd(state_->ring); }
int ChannelPrograms::poll() { return ring_buffer__consume(state_->ring); }

void ChannelPrograms::enable_holds(bool enabled) { state_->skeleton->bss->hold_enabled = enabled; }

Status ChannelPrograms::watch(const cg_channel_key& channel, const cg_channel& value) {
    if (bpf_map_update_elem(state_->channels, &channel, &value, BPF_ANY))
        return Error::system("bpf_map_update_elem", "channels", errno);
    return {};
}

void ChannelPrograms::forget(const cg_channel_key& channel) { bpf_map_delete_elem(state_->channels, &channel); }

std::optional<cg_channel> ChannelPrograms::find(const cg_channel_key& channel) const {
    cg_channel value;
    if (bpf_map_lookup_elem(state_->channels, &channel, &value)) return std::nullopt;
    return value;
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

KernelCounters ChannelPrograms::counters() const {
    KernelCounters sum;
    int processors = libbpf_num_possible_cpus();
    std::vector<uint64_t> each(processors);
    for (uint32_t which = 0; which < CG_COUNT_MAX; ++which) {
        if (bpf_map_lookup_elem(state_->counters, &which, each.data())) continue;
        for (uint64_t value : each) sum.values[which] += value;
    }
    return sum;
}

}  // namespace callgate
