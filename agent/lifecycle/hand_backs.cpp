#include "lifecycle/hand_backs.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>
#include <unordered_set>
#include <utility>

#include "kernel/holders.h"

namespace callgate {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// What is forked while others are given theirs back is found by the next look. Whoever is never done with that is told.
constexpr int kLooksMax = 10;
// Clients that do not take at once what is on its way are waited for so long, all of a batch together, and last: no other
// session can be given back meanwhile, and all must be before the agent is killed (TimeoutStopSec=).
constexpr std::chrono::milliseconds kReadersPatience{5000};

struct Going {
    HandBackJob job;
    std::unordered_set<pid_t> seen = {};
    std::string problem = {};
    bool lives_on = false;
    bool is_late = false;  // its client did not take at once what is on its way
    std::optional<Clock::time_point> until = {};
};

// Of kReadersPatience each has a share of what those before it have left.
class Readers {
  public:
    explicit Readers(size_t late) : late_(late) {}
    std::chrono::milliseconds patience_with(Going& each) {
        const auto now = Clock::now();
        if (!each.until) {
            const Clock::duration left = std::max(until_ - now, Clock::duration::zero());
            each.until = now + std::min<Clock::duration>(left / std::max<size_t>(late_, 1), kReaderPatience);
            late_ -= late_ > 0;
        }
        return std::max(std::chrono::duration_cast<std::chrono::milliseconds>(*each.until - now), 0ms);
    }

  private:
    const Clock::time_point until_ = Clock::now() + kReadersPatience;
    size_t late_;
};

// Without `readers` no client is waited for: the job is late then.
void set_patience(Going& each, Readers* readers) { each.job.back.patience = readers ? readers->patience_with(each) : 0ms; }

void note_failure(Going& each, const Error& error, Readers* readers) {
    if (!readers && error.kind == ErrorKind::limit) {
        each.is_late = true;
    } else {
        each.problem = error.text();
    }
}

void give_back_to(Going& going, pid_t pid, Readers* readers, const WhileWaiting& while_waiting) {
    set_patience(going, readers);
    const Status back = hand_back(pid, going.job.back, while_waiting);
    going.lives_on |= static_cast<bool>(back);
    if (back || back.error().kind == ErrorKind::gone) return;
    note_failure(going, back.error(), readers);
    if (going.is_late && !readers) going.seen.erase(pid);
}

void give_back_to_all(const std::vector<Going*>& all, Readers* readers, const WhileWaiting& while_waiting) {
    const auto is_to_wait = [readers](const Going& each) { return each.is_late && !readers; };
    std::unordered_set<uint64_t> inodes;
    for (const Going* each : all) {
        inodes.insert(each->job.back.new_input.inode);
        inodes.insert(each->job.back.new_output.inode);
    }
    bool found = true;
    for (int look = 0; std::exchange(found, false); ++look) {
        auto holders = holders_of(inodes);
        for (Going* each : all) {
            const HandBack& back = each->job.back;
            for (const uint64_t inode : {back.new_input.inode, back.new_output.inode}) {
                for (const pid_t pid : holders[inode]) {
                    if (is_to_wait(*each) || !each->seen.insert(pid).second) continue;
                    if (look == kLooksMax) {
                        each->problem = "process " + std::to_string(pid) + " goes on being forked";
                        break;
                    }
                    found = true;
                    give_back_to(*each, pid, readers, while_waiting);
                }
            }
        }
    }
    for (Going* each : all) {
        // Who ended before its turn may have written.
        if (is_to_wait(*each) || !each->problem.empty()) continue;
        set_patience(*each, readers);
        const Status rest = copy_all_of_rest(each->job.back, while_waiting);
        if (!rest) note_failure(*each, rest.error(), readers);
    }
}

}  // namespace

void give_back(std::vector<HandBackJob> jobs, const WhileWaiting& while_waiting,
               const std::function<void(const HandBackJob&, bool)>& given) {
    std::vector<Going> all;
    for (HandBackJob& job : jobs) all.push_back({std::move(job)});
    const auto finish = [&](Going& each) {
        if (each.problem.empty()) given(each.job, each.lives_on);
        each.job.done(std::move(each.problem));
    };
    std::vector<Going*> going, late;
    for (Going& each : all) going.push_back(&each);
    give_back_to_all(going, nullptr, while_waiting);
    for (Going* each : going) {
        if (each->is_late && each->problem.empty()) {
            late.push_back(each);
        } else {
            finish(*each);
        }
    }
    if (late.empty()) return;
    Readers readers(late.size());
    give_back_to_all(late, &readers, while_waiting);
    for (Going* each : late) finish(*each);
}

namespace {

constexpr auto kPatience = 2s;  // of all of them together

bool is_socket(ChannelKind kind) { return kind == ChannelKind::unix_socket; }

// False while the server has not read everything that it was sent. Who has its own channels back reads no replacement.
bool let_server_read(RelayState& session) {
    Ledger& bytes = session.ledger->bytes();
    const TakenEnds& ends = session.ends;
    const int to_server = ends.to_server.get();
    const Status sent = bytes.pass_on(Ledger::kToServer, -1, to_server, is_socket(ends.input_kind));
    // It may have to write before it reads on.
    (void)bytes.pass_on(Ledger::kToClient, ends.from_server.get(), ends.to_client.get(), is_socket(ends.output_kind));
    if (!sent) return sent.error().kind != ErrorKind::limit;
    return unread_behind(to_server, is_socket(ends.input_kind)) == 0;
}

}  // namespace

std::vector<std::string> finish_giving_back(const std::vector<RelayState*>& sessions) {
    std::vector<std::string> problems(sessions.size());
    std::vector<HandBackJob> jobs;
    const auto until = std::chrono::steady_clock::now() + kPatience;
    for (size_t i = 0; i < sessions.size(); ++i) {
        RelayState& session = *sessions[i];
        const TakenEnds& ends = session.ends;
        while (!let_server_read(session) && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(1ms);
        HandBackJob job;
        job.back = {ends.new_input, ends.new_output, ends.from_client.get(), ends.to_client.get(), ends.from_server.get()};
        if (!session.gate.wants_release) job.back.replacement_input = ends.to_server.get();
        job.back.copy_rest = [&session, &ends] {
            return session.ledger->bytes().pass_on(Ledger::kToClient, ends.from_server.get(), ends.to_client.get(),
                                                   is_socket(ends.output_kind));
        };
        job.done = [&problem = problems[i]](std::string said) { problem = std::move(said); };
        jobs.push_back(std::move(job));
    }
    give_back(std::move(jobs), nullptr, [](const HandBackJob&, bool) {});
    return problems;
}

}  // namespace callgate
