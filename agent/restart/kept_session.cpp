#include "restart/kept_session.h"

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/fault_point.h"
#include "restart/state_blob.h"

namespace callgate {
namespace {

Result<Bundle> bundle_of(const Ledger& ledger, const std::array<int, 4>& ends) {
    Bundle bundle{kKeptLabel, {}};
    const int fixed[] = {ledger.memory().get(), ledger.pipe(Ledger::kToServer).get(), ledger.pipe(Ledger::kToClient).get()};
    const auto add = [&](int fd) {
        bundle.fds.push_back(Fd::adopt(fcntl(fd, F_DUPFD_CLOEXEC, 0)));
        return bundle.fds.back().valid();
    };
    for (const int fd : fixed)
        if (!add(fd)) return Error::system("fcntl F_DUPFD_CLOEXEC", "ledger", errno);
    for (const int fd : ends) {
        bundle.label += fd >= 0 ? '1' : '0';
        if (fd >= 0 && !add(fd)) return Error::system("fcntl F_DUPFD_CLOEXEC", "end of a session", errno);
    }
    return bundle;
}

}  // namespace

Result<std::unique_ptr<KeptSession>> KeptSession::keep(Vault& vault, RelaySession& relay, const SessionState& facts) {
    std::unique_ptr<Ledger> ledger = TRY(Ledger::create());
    TRY_VOID(ledger->write_facts(encode_state(to_json(facts))));
    const Bundle bundle = TRY(bundle_of(*ledger, relay.open_ends()));
    relay.begin_ledger(std::make_unique<SessionLedger>(std::move(ledger), ledger_form()));
    fault_point("ledger begun");
    Result<std::shared_ptr<Vault::Entry>> entry = vault.add(bundle);
    if (entry && relay.has_ledger()) return std::unique_ptr<KeptSession>(new KeptSession(std::move(*entry)));
    if (relay.has_ledger()) relay.leave_ledger();
    return entry ? Error{ErrorKind::limit, 0, "ledger", "has no room"} : entry.error();
}

Result<std::unique_ptr<KeptSession>> KeptSession::take(Vault::Found& found, SessionState& state) {
    constexpr size_t kFixed = 3;
    Bundle& bundle = found.bundle;
    const std::string_view label = bundle.label;
    if (!label.starts_with(kKeptLabel) || bundle.fds.size() < kFixed)
        return Error::invalid("session of an earlier agent", "came without its descriptors");
    auto ledger = TRY(Ledger::open(std::move(bundle.fds[0]), {std::move(bundle.fds[1]), std::move(bundle.fds[2])}));
    const nlohmann::json facts = TRY(decode_state(ledger->facts()));
    state = TRY(session_from(facts));
    const std::string_view present = label.substr(sizeof(kKeptLabel) - 1);
    TakenEnds& ends = state.relay.ends;
    Fd* const places[] = {&ends.from_client, &ends.to_server, &ends.from_server, &ends.to_client};
    size_t next = kFixed;
    for (size_t i = 0; i < std::size(places); ++i) {
        if (i >= present.size() || present[i] != '1') continue;
        if (next >= bundle.fds.size())
            return Error::invalid("session of an earlier agent", "came without all of its descriptors");
        *places[i] = std::move(bundle.fds[next++]);
    }
    state.relay.ledger = std::make_unique<SessionLedger>(std::move(ledger), ledger_form());
    state.relay.gate = TRY(state.relay.ledger->gate_state());
    return std::unique_ptr<KeptSession>(new KeptSession(std::move(found.entry)));
}

void KeptSession::ends_changed(const RelaySession& relay) {
    const std::array<int, 4> ends = relay.open_ends();
    if (std::all_of(ends.begin(), ends.end(), [](int fd) { return fd < 0; })) return entry_->remove();
    const Result<Bundle> bundle = bundle_of(relay.ledger().bytes(), ends);
    // Rather a session that ends with a kill than an end of file that nobody sees.
    if (!bundle || !entry_->replace(bundle.value())) entry_->remove();
}

void KeptSession::write_facts(RelaySession& relay, const SessionState& facts) {
    (void)relay.ledger().bytes().write_facts(encode_state(to_json(facts)));
}

}  // namespace callgate
