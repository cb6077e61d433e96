// PlannedRestart: this agent ends, and the next goes on with its sessions (README, "Restart and upgrade").
//
//   no new servers ─► new connections wait ─► BPF programs unloaded ─► sessions and connections suspended ─► this process ends
//   next process:   out of the vault and the parcel ─► they go on ─► BPF programs loaded, watched again ─► ready
//
// Sessions that are kept for the case of a kill (vault.h) need nothing more; states and descriptors of others go into the store.
// None goes on before all have been read: what is in flight in one counts for the calls of others. So the next process does
// nothing before that which can be done later, and nothing that waits for the disk or for the kernel.
// Between the two, clients and servers wait as for a slow peer: what they write stays in their pipes and
// sockets. Nothing in here blocks on a client or a server. All of it belongs to the loop's thread.
#pragma once
#include <functional>

#include "base/worker.h"
#include "lifecycle/http_table.h"
#include "lifecycle/session_table.h"
#include "restart/carrier.h"

namespace callgate {

class PlannedRestart {
  public:
    // `watcher` is gone when `done` is called; `worker` is who ends it.
    PlannedRestart(Ring& ring, Worker& worker, std::unique_ptr<Watcher>& watcher, SessionTable& sessions, HttpTable& http,
                   const Carrier& carrier)
        : ring_(ring), worker_(worker), watcher_(watcher), sessions_(sessions), http_(http), carrier_(carrier) {}

    // `unnamed`, `policies`: for sessions that could not be given away; see SessionTable::resume_all().
    // Calls `done` when all that could be kept is; with an error nothing was, the sessions go on here, and
    // are to be handed back.
    void begin(const PolicyStore& policies, std::shared_ptr<const Policy> unnamed, std::function<void(Status)> done);

  private:
    void wait_for_exits(int64_t until_ns);
    void unload(std::vector<WatchedSession> watched);
    void wait_for_http(std::shared_ptr<std::vector<WatchedSession>> watched, int64_t until_ns);
    void leave(const std::vector<WatchedSession>& watched);

    Ring& ring_;
    Worker& worker_;
    std::unique_ptr<Watcher>& watcher_;
    SessionTable& sessions_;
    HttpTable& http_;
    const Carrier& carrier_;
    const PolicyStore* policies_ = nullptr;
    std::shared_ptr<const Policy> unnamed_;
    std::function<void(Status)> done_;
};

// Goes on with what the agent before has left, if it has: at a planned restart, or in the vault, which `vault` is set to where
// somebody keeps one; and writes what it had not yet written of the audit log. What cannot be gone on with is closed, so that
// both sides see an end and nothing hangs, and stands in the audit log. `steering`: how connections wait meanwhile, for
// HttpTable::use_vault(). `worker` may trace. `problems`: what was wrong, a line each. `take_back`: is told of the
// turn that was never committed before anything is judged.
void resume_sessions(Carrier& carrier, Worker& worker, std::unique_ptr<Vault>& vault, SessionTable& sessions, HttpTable& http,
                     AuditLog& audit, const PolicyStore& policies, const std::shared_ptr<const Policy>& unnamed,
                     std::vector<Vault::Found>& steering, std::vector<std::string>& problems,
                     const std::function<Status(std::string_view turn)>& take_back);
// The same where no agent can go on with it: sessions are for SessionTable::release_all(), and connections over HTTP end.
void resume_to_release(Carrier& carrier, Worker& worker, std::unique_ptr<Vault>& vault, SessionTable& sessions, AuditLog& audit,
                       const PolicyStore& policies, std::vector<Vault::Found>& steering, std::vector<std::string>& problems);

}  // namespace callgate
