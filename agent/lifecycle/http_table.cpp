#include "lifecycle/http_table.h"

#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/clock.h"
#include "lifecycle/session_json.h"

namespace callgate {
namespace {

using namespace std::chrono_literals;

// How often it is looked for sessions that nobody uses any more.
constexpr auto kIdleInterval = 10s;
// For how long connections are still placed that came while their listener was steered undecided, and then let go.
constexpr auto kLetGoKept = 5s;

// As those are that the agent has accepted.
void send_at_once(const Fd& socket) {
    int one = 1;
    setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

std::string listener_key(const cg_address& address) { return std::to_string(address.netns) + " " + text_of(address); }

}  // namespace

// POLICY: "the default grant is (uid, client executable)"; of a client elsewhere only its host is known.
std::string HttpTable::grant_of(const HttpFacts& facts) {
    return facts.peer_is_local() ? default_grant(facts.peer) : "host:" + facts.peer_host();
}

HttpTable::HttpTable(Ring& ring, AuditLog& audit, CounterTable& counters, const GrantsInForce& grants, PinTable& pins,
                     const Config& config)
    : ring_(ring), audit_(audit), counters_(counters), config_(config), sessions_(audit, grants, pins) {
    end_idle_sessions();
}

HttpTable::~HttpTable() = default;

void HttpTable::end_idle_sessions() {
    sessions_.end_idle(monotonic_ns());
    ring_.after(kIdleInterval, [this, alive = std::weak_ptr<bool>(alive_)] {
        if (!alive.expired()) end_idle_sessions();
    });
}

void HttpTable::open_space(std::shared_ptr<NetworkNamespace> space) {
    for (int family : {AF_INET, AF_INET6})
        if (int listener = space->listener(family); listener >= 0)
            acceptors_.push_back(std::make_unique<HttpAcceptor>(ring_, space, listener, acceptor_events()));
    if (left_.empty()) start_accepting();
    keep(*space);
}

HttpAcceptor::Events HttpTable::acceptor_events() {
    return {[this](Fd client, const std::shared_ptr<NetworkNamespace>& space) { accepted(std::move(client), space); },
            [this] { sweep_soon(); }};
}

void HttpTable::start_accepting() {
    for (auto& acceptor : acceptors_) acceptor->start();
}

void HttpTable::close_space(uint32_t netns) {
    kept_.erase(netns);
    for (auto& acceptor : acceptors_)
        if (acceptor->space()->inode() == netns) acceptor->stop();
    take_queued(netns);
    sweep();
}

void HttpTable::take_queued(uint32_t netns) {
    for (auto& acceptor : acceptors_)
        if (acceptor->space()->inode() == netns) acceptor->take_queued();
}

HttpTable::Entry& HttpTable::entry_of(const Listener& listener) {
    auto [found, fresh] = entries_.try_emplace(listener.cookie);
    if (!fresh) return found->second;
    found->second.governed.listener = listener;
    for (const cg_address& address : listener.addresses()) by_address_[address].push_back(listener.cookie);
    return found->second;
}

void HttpTable::add_undecided(Listener listener) { entry_of(listener); }

void HttpTable::add(GovernedListener governed) {
    Entry& entry = entry_of(governed.listener);
    entry.decision = Decision::governed;
    entry.governed = std::move(governed);
    entry.id = ids_.next(realtime_ns() / 1'000'000).view();
    entry.started = utc_now();
    HttpFacts facts;
    facts.server = entry.governed.server;
    facts.listen = text_of(entry.governed.listener.address);
    entry.audit_session = audit_.describe(facts.session_facts(entry.id, *entry.governed.policy, {}));
    audit_.event("listener_start", entry.audit_session,
                 {{"state", "\"enforced\""}, {"adopted", entry.governed.adopted ? "true" : "false"}});
    place_parked();
}

void HttpTable::let_go(uint64_t cookie) {
    auto found = entries_.find(cookie);
    if (found == entries_.end()) return;
    found->second.decision = Decision::let_go;
    place_parked();
    ring_.after(kLetGoKept, [this, cookie, alive = std::weak_ptr<bool>(alive_)] {
        if (!alive.expired()) remove(cookie);
    });
}

void HttpTable::remove(uint64_t cookie) {
    auto found = entries_.find(cookie);
    if (found == entries_.end()) return;
    Entry& entry = found->second;
    for (const cg_address& address : entry.governed.listener.addresses()) {
        auto at = by_address_.find(address);
        std::erase(at->second, cookie);
        if (at->second.empty()) by_address_.erase(at);
    }
    if (entry.decision == Decision::governed)
        audit_.event("listener_end", entry.audit_session, {{"connections", std::to_string(entry.connections)}});
    const cg_address address = entry.governed.listener.address;
    entries_.erase(found);
    if (!by_address_.count(address)) sessions_.end_of_listener(listener_key(address));
    place_parked();
}

HttpTable::Found HttpTable::find(const cg_address& address) {
    Found found;
    std::vector<std::shared_ptr<const Policy>> policies;
    for (const cg_address& key : {address, any_address(address)}) {
        auto at = by_address_.find(key);
        if (at == by_address_.end()) continue;
        for (uint64_t cookie : at->second) {
            Entry& entry = entries_.at(cookie);
            // Whoever governs decides; whoever waits for a decision waits; only then is it nobody's business.
            if (!found.entry || entry.decision == Decision::governed ||
                (entry.decision == Decision::undecided && found.entry->decision == Decision::let_go))
                if (!found.entry || found.entry->decision != Decision::governed) found.entry = &entry;
            if (entry.decision == Decision::governed &&
                std::find(policies.begin(), policies.end(), entry.governed.policy) == policies.end())
                policies.push_back(entry.governed.policy);
        }
        if (found.entry) break;
    }
    if (policies.size() == 1) found.policy = policies[0];
    if (policies.size() > 1) {
        std::string names;
        found.policy = PolicyStore::deny_for_tie(policies, names);
    }
    return found;
}

void HttpTable::reset(Fd client, uint64_t& counter) {
    ++counter;
    linger at_once{1, 0};
    setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

void HttpTable::accepted(Fd client, const std::shared_ptr<NetworkNamespace>& space) {
    auto local = SocketAddress::local_of(client.get()), remote = SocketAddress::remote_of(client.get());
    if (!local || !remote) return;  // it has gone already
    if (space->is_ours(*local)) return reset(std::move(client), not_steered_);
    if (connections_.size() >= kHttpConnectionsMax) return reset(std::move(client), full_);
    place({std::move(client), space, *local, *remote, {}});
}

std::shared_ptr<NetworkNamespace> HttpTable::space_of(uint32_t netns) const {
    for (const auto& acceptor : acceptors_)
        if (acceptor->space()->inode() == netns) return acceptor->space();
    return nullptr;
}

void HttpTable::use_policies(const PolicyStore& policies) {
    for (auto& [cookie, entry] : entries_) {
        if (entry.decision != Decision::governed) continue;
        const PolicyStore::Match match = policies.find(entry.governed.server);
        if (match.policy) entry.governed.policy = match.policy;
    }
    // One that nobody can tell the listener of stays denied.
    const auto is_tie = [](const Policy& policy) { return policy.name() == "(policy tie)"; };
    for (auto& [raw, connection] : connections_) {
        if (!connection->gate() || is_tie(connection->gate()->policy())) continue;
        ServerIdentity server = connection->gate()->facts().server;
        const PolicyStore::Match match = policies.find(server);
        if (match.policy && match.policy.get() != &connection->gate()->policy()) connection->use_policy(match.policy);
    }
}

// Nobody but its server can be asked: it has no listener that a new connection could reach it by.
void HttpTable::adopt_alone(EarlierConnection earlier, const SocketAddress& local, const SocketAddress& remote) {
    if (!earlier.cut.empty()) {
        ++cut_;
        return;
    }
    if (connections_.size() >= kHttpConnectionsMax) return reset(std::move(earlier.client), full_);
    ++adopted_;
    HttpGateOptions options;
    options.policy = earlier.alone->policy;
    options.frame_bytes_max = config_.frame_bytes_max;
    options.approvals = approvals_;
    options.http_only = true;
    HttpFacts& facts = options.facts;
    facts.server = std::move(earlier.alone->server);
    if (watcher_) facts.peer = peers_.identify(watcher_->take_peer(earlier.netns, remote, local));
    facts.peer_address = remote.text();
    facts.grant = grant_of(facts);
    facts.listen = text_of(earlier.alone->listener.address);
    facts.listener = listener_key(earlier.alone->listener.address);
    HttpConnection::Ends ends;
    ends.client = std::move(earlier.client);
    ends.upstream.socket = std::move(earlier.server);
    ends.upstream.connected = true;
    ends.unread = std::move(earlier.unread);
    ends.replacement = earlier.replacement;
    start(std::move(ends), std::move(options));
}

void HttpTable::adopt(EarlierConnection earlier) {
    send_at_once(earlier.client);
    auto space = space_of(earlier.netns);
    auto local = SocketAddress::local_of(earlier.client.get()), remote = SocketAddress::remote_of(earlier.client.get());
    if (earlier.alone && local && remote) return adopt_alone(std::move(earlier), *local, *remote);
    if (!space || !local || !remote) return;  // its listener has just gone, or its client
    Found found = find(local->in_namespace(earlier.netns));
    if (!earlier.cut.empty()) {
        ++cut_;
        if (found.entry && found.entry->decision == Decision::governed)
            audit_.event("connection_cut", found.entry->audit_session,
                         {{"client", json_text(remote->text())}, {"reason", json_text(earlier.cut)}});
        return;
    }
    if (connections_.size() >= kHttpConnectionsMax) return reset(std::move(earlier.client), full_);
    ++adopted_;
    place({std::move(earlier.client), std::move(space), *local, *remote, std::move(earlier.unread), earlier.http_only});
}

void HttpTable::place(Parked arrival) {
    Found found = find(arrival.local.in_namespace(arrival.space->inode()));
    if (!found.entry) return reset(std::move(arrival.client), nobody_);  // the listener has just gone
    if (found.entry->decision == Decision::undecided || !left_.empty()) return parked_.push_back(std::move(arrival));
    join(std::move(arrival), found);
}

void HttpTable::place_parked() {
    std::vector<Parked> waiting;
    waiting.swap(parked_);
    for (Parked& each : waiting) place(std::move(each));
}

std::optional<HttpGateOptions> HttpTable::gate_options(const Parked& arrival, const Found& found) {
    if (!found.policy) return std::nullopt;
    HttpGateOptions options;
    options.policy = found.policy;
    options.frame_bytes_max = config_.frame_bytes_max;
    options.approvals = approvals_;
    options.http_only = arrival.http_only;
    HttpFacts& facts = options.facts;
    const Listener& listener = found.entry->governed.listener;
    facts.server = found.entry->governed.server;
    if (watcher_) facts.peer = peers_.identify(watcher_->take_peer(arrival.space->inode(), arrival.remote, arrival.local));
    facts.peer_address = arrival.remote.text();
    facts.grant = grant_of(facts);
    facts.listen = text_of(listener.address);
    facts.listener = listener_key(listener.address);
    return options;
}

void HttpTable::join(Parked arrival, const Found& found) {
    HttpConnection::Ends ends;
    ends.client = std::move(arrival.client);
    ends.unread = std::move(arrival.unread);
    // Without a socket the connection answers by itself.
    if (auto upstream = arrival.space->connect(arrival.local)) {
        ends.upstream = std::move(*upstream);
    } else {
        spdlog::debug("{}", upstream.error().text());
    }
    ++found.entry->connections;
    start(std::move(ends), gate_options(arrival, found));
}

HttpConnection& HttpTable::add_connection(HttpConnection::Ends ends, std::optional<HttpGateOptions> options) {
    auto connection = std::make_unique<HttpConnection>(ring_, std::move(ends), std::move(options), sessions_, counters_, audit_,
                                                       [this](HttpConnection& over) { connection_ended(over); });
    HttpConnection* raw = connection.get();
    connections_.emplace(raw, std::move(connection));
    return *raw;
}

void HttpTable::start(HttpConnection::Ends ends, std::optional<HttpGateOptions> options) {
    HttpConnection& connection = add_connection(std::move(ends), std::move(options));
    ++connections_total_;
    connection.start();
    if (suspended_) connection.suspend();
    if (draining_ && !connection.ended()) connection.drain();
}

void HttpTable::connection_ended(HttpConnection& connection) {
    auto found = connections_.find(&connection);
    if (const HttpGate* gate = connection.gate()) {
        ended_counts_ += gate->counts();
        passed_requests_ += gate->requests_passed();
        if (!gate->tunnel_reason().empty()) ++tunnels_;
        if (!gate->blind_reason().empty()) ++blind_;
    }
    if (watcher_ && connection.replacement().inode != 0) watcher_->replacement_gone(connection.replacement());
    std::erase(resumed_, &connection);
    buried_.push_back(std::move(found->second));
    connections_.erase(found);
    if (buried_.size() == 1) sweep_soon();
}

void HttpTable::sweep_soon() {
    ring_.after(1ms, [this, alive = std::weak_ptr<bool>(alive_)] {
        if (!alive.expired()) sweep();
    });
}

void HttpTable::sweep() {
    std::erase_if(buried_, [](const auto& connection) { return connection->idle(); });
    std::erase_if(acceptors_, [](const auto& acceptor) { return acceptor->over(); });
    if (!buried_.empty()) sweep_soon();
    finish_if_empty();
}

void HttpTable::finish_if_empty() {
    if (!all_done_ || !connections_.empty() || !buried_.empty() || !acceptors_.empty()) return;
    std::exchange(all_done_, nullptr)();
}

void HttpTable::stop_accepting() {
    for (auto& acceptor : acceptors_) acceptor->stop();
    std::erase_if(acceptors_, [](const auto& acceptor) { return acceptor->over(); });
}

void HttpTable::take_all_queued() {
    kept_.clear();
    for (auto& acceptor : acceptors_) acceptor->stop();
    for (auto& acceptor : acceptors_) acceptor->take_queued();
}

void HttpTable::drain(std::chrono::milliseconds patience, std::function<void()> done) {
    take_all_queued();
    draining_ = true;
    all_done_ = std::move(done);
    for (Parked& each : parked_) reset(std::move(each.client), nobody_);
    parked_.clear();
    waited_.clear();
    auto each = [this](auto what) {
        std::vector<HttpConnection*> now;
        for (auto& [raw, connection] : connections_) now.push_back(raw);
        for (HttpConnection* connection : now)
            if (connections_.count(connection)) what(*connection);
    };
    each([](HttpConnection& connection) { connection.drain(); });
    ring_.after(patience, [each, alive = std::weak_ptr<bool>(alive_)] {
        if (!alive.expired()) each([](HttpConnection& connection) { connection.close(); });
    });
    sweep();
}

FrameCounts HttpTable::counts() const {
    FrameCounts sum = ended_counts_;
    for (const auto& [raw, connection] : connections_)
        if (connection->gate()) sum += connection->gate()->counts();
    return sum;
}

}  // namespace callgate
