// ServerExits: the end of a governed server is seen after the last of its output, as without the agent.
//
// A server that has written its last line and ended would be reaped by its client before that line has come through the
// agent. So the kernel holds the exit of a governed process for the moment that seizing it takes (ptrace(2), "exit": a
// tracer is told of a zombie before the parent is). Nothing stops: it closes its files and is a zombie of the agent's
// until everything that it wrote has reached the client. Then it is reaped here, and the parent has it, exit code, signal
// and all. Should the agent end first, the kernel does the same.
//
//   server   write("bye") ─ exit ─ held ─ closes its files ─ zombie
//   agent                     └─ seizes    "bye", end of file ─► client    reaps ─► the parent's waitpid() returns
//
// Not held (counted): where somebody polls the process by a pidfd, which no tracer can delay; where a debugger traces it;
// where more processes end at once than half the processors; where the first thread had ended before the others.
// Belongs to the loop's thread; any thread of a process may reap what another of its threads traces.
#pragma once
#include <sys/types.h>

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "io/ring.h"

namespace callgate {

class ServerExits {
  public:
    // `delivered`: whether everything that was written to this session's output has reached the client.
    ServerExits(Ring& ring, std::function<bool(const std::string& session)> delivered)
        : ring_(ring), delivered_(std::move(delivered)) {}

    // `pid` has been seized by this process and ends; `since_ns`: monotonic.
    void add(std::string session, pid_t pid, int64_t since_ns);

    bool none() const { return endings_.empty(); }
    uint64_t overdue() const { return overdue_; }  // let go after kExitNanoseconds, with output on its way

  private:
    struct Ending {
        std::string session;
        pid_t pid;
        int64_t since_ns;
        bool was_delivered = false;  // at the last look; a read of that moment may have been on its way
    };
    bool is_over(Ending& ending);
    void look();

    Ring& ring_;
    std::function<bool(const std::string&)> delivered_;
    std::vector<Ending> endings_;
    std::atomic<uint64_t> overdue_{0};
};

}  // namespace callgate
