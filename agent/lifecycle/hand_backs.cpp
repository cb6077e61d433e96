#include "lifecycle/hand_backs.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <unordered_set>
#include <utility>

#include "kernel/holders.h"

namespace callgate {
namespace {

// What is forked while others are given theirs back is found by the next look. Whoever is never done with that is told.
constexpr int kLooksMax = 10;

struct Going {
    HandBackJob job;
    std::unordered_set<pid_t> seen;
    std::string problem;
    bool lives_on = false;
};

void give_back_to(Going& going, pid_t pid, const WhileWaiting& while_waiting) {
    const Status back = hand_back(pid, going.job.back, while_waiting);
    going.lives_on |= static_cast<bool>(back);
    if (!back && back.error().kind != ErrorKind::gone) going.problem = back.error().text();
}

}  // namespace

void give_back(std::vector<HandBackJob> jobs, const WhileWaiting& while_waiting,
               const std::function<void(const HandBackJob&, bool)>& given) {
    std::vector<Going> all;
    std::unordered_set<uint64_t> inodes;
    for (HandBackJob& job : jobs) {
        inodes.insert(job.back.new_input.inode);
        inodes.insert(job.back.new_output.inode);
        all.push_back({std::move(job), {}, {}});
    }
    bool found = true;
    for (int look = 0; std::exchange(found, false); ++look) {
        auto holders = holders_of(inodes);
        for (Going& each : all) {
            const HandBack& back = each.job.back;
            for (const uint64_t inode : {back.new_input.inode, back.new_output.inode}) {
                for (const pid_t pid : holders[inode]) {
                    if (!each.seen.insert(pid).second) continue;
                    if (look == kLooksMax) {
                        each.problem = "process " + std::to_string(pid) + " goes on being forked";
                        break;
                    }
                    found = true;
                    give_back_to(each, pid, while_waiting);
                }
            }
        }
    }
    for (Going& each : all) {
        // Who ended before its turn may have written.
        const Status rest = each.problem.empty() ? each.job.back.copy_rest() : Status();
        if (!rest) each.problem = rest.error().text();
        if (each.problem.empty()) given(each.job, each.lives_on);
        each.job.done(std::move(each.problem));
    }
}

namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 2s;  // of all of them together

bool is_socket(ChannelKind kind) { return kind == ChannelKind::unix_socket; }

// False while the server has not read everything that it was sent. Who has its own channels back reads no replacement.
bool let_server_read(RelayState& session) {
    Ledger& bytes = session.ledger->bytes();
    const TakenEnds& ends = session.ends;
    const int to_server = ends.to_server.get();
    const Status sent = bytes.pass_on(Ledger::kToServer, -1, to_server, is_socket(ends.input_kind), 0ms);
    // It may have to write before it reads on.
    (void)bytes.pass_on(Ledger::kToClient, ends.from_server.get(), ends.to_client.get(), is_socket(ends.output_kind), 0ms);
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
                                                   is_socket(ends.output_kind), 1s);
        };
        job.done = [&problem = problems[i]](std::string said) { problem = std::move(said); };
        jobs.push_back(std::move(job));
    }
    give_back(std::move(jobs), nullptr, [](const HandBackJob&, bool) {});
    return problems;
}

}  // namespace callgate
