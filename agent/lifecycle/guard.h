// Guard: keeps servers out while no agent runs that should (`callgate guard`; the unit
// callgate-guard.service).
//
// There is nobody then who could hold a read, so a server that a policy with `"fail": "closed"` names is
// ended as soon as it is seen: /proc is looked through every kRoundInterval, and of each process that is new,
// or has become another program, it is asked what it is. New is what has started since the last agent saw
// anything start. What ran before and listens is ended at the beginning, for whoever connects to it would reach
// it past the agent; the rest of it is left alone: its sessions have ended, or it was never governed.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "audit/log.h"
#include "kernel/scope.h"
#include "policy/store.h"

namespace callgate {

class Guard {
  public:
    static constexpr std::chrono::milliseconds kRoundInterval{100};

    // What runs now and does not listen is left alone, but for what has started since the last agent saw anything start
    // (GovernedUntil::read()): that is new to the first round.
    Guard(Scope scope, const PolicyStore& policies, AuditLog& audit, std::optional<uint64_t> unseen_since);
    // Those that listen already. How many were ended.
    size_t end_listening();
    // Takes milliseconds. How many servers were ended.
    size_t round();

  private:
    // Which program a process is: changes with each exec.
    struct Program {
        uint64_t start_time = 0;
        std::string exe, command;
        bool operator==(const Program&) const = default;
    };
    static Program program_of(const ProcessFacts& process);
    bool end_if_closed(pid_t pid, const ProcessFacts& seen, std::string_view reason);

    const Scope scope_;
    const PolicyStore& policies_;
    AuditLog& audit_;
    RecordIdMaker ids_;
    std::unordered_map<pid_t, Program> known_;
};

}  // namespace callgate
