// Servers on AF_UNIX sockets, the table's part: their connections come here already taken over, with both ends connected.
#include <algorithm>

#include "base/clock.h"
#include "lifecycle/http_table.h"
#include "lifecycle/session_json.h"

namespace callgate {
namespace {

// What stands for an address, in records and as the key of a listener's sessions.
std::string listen_text(const UnixListener& listener) { return "unix:" + listener.path; }
std::string listener_key(const UnixListener& listener) {
    return "unix " + std::to_string(listener.file_inode) + " " + listener.path;
}

}  // namespace

void HttpTable::add_unix(std::shared_ptr<const UnixListener> listener) {
    UnixEntry entry;
    entry.id = ids_.next(realtime_ns() / 1'000'000).view();
    entry.started = utc_now();
    HttpFacts facts;
    facts.server = listener->server;
    facts.listen = listen_text(*listener);
    entry.audit_session = audit_.describe(facts.session_facts(entry.id, *listener->match.policy, {}));
    audit_.event("listener_start", entry.audit_session,
                 {{"state", "\"enforced\""}, {"adopted", listener->adopted ? "true" : "false"}});
    entry.listener = std::move(listener);
    unix_entries_.push_back(std::move(entry));
}

void HttpTable::remove_unix(const UnixListener& listener) {
    auto found =
        std::find_if(unix_entries_.begin(), unix_entries_.end(), [&](auto& each) { return each.listener.get() == &listener; });
    if (found == unix_entries_.end()) return;
    audit_.event("listener_end", found->audit_session, {{"connections", std::to_string(found->connections)}});
    sessions_.end_of_listener(listener_key(listener));
    unix_entries_.erase(found);
}

void HttpTable::note_unix_cut(const UnixListener& listener) {
    ++cut_;
    for (const UnixEntry& entry : unix_entries_)
        if (entry.listener.get() == &listener)
            audit_.event("connection_cut", entry.audit_session,
                         {{"reason", "\"a message began in the middle of what was read\""}});
}

void HttpTable::adopt_unix(UnixConnection connection) {
    if (connections_.size() >= kHttpConnectionsMax) return reset(std::move(connection.client), full_);
    for (UnixEntry& entry : unix_entries_)
        if (entry.listener == connection.listener) ++entry.connections;
    HttpGateOptions options;
    options.policy = connection.listener->match.policy;
    options.frame_bytes_max = config_.frame_bytes_max;
    options.approvals = approvals_;
    options.http_only = true;
    HttpFacts& facts = options.facts;
    facts.server = connection.listener->server;
    facts.peer = peers_.identify(connection.peer);
    facts.peer_address = "unix";
    facts.grant = grant_of(facts);
    facts.listen = listen_text(*connection.listener);
    facts.listener = listener_key(*connection.listener);
    HttpConnection::Ends ends;
    ends.client = std::move(connection.client);
    ends.upstream.socket = std::move(connection.server);
    ends.upstream.connected = true;
    ends.unread = std::move(connection.unread);
    ends.replacement = connection.replacement;
    start(std::move(ends), std::move(options));
}

}  // namespace callgate
