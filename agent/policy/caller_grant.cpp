#include "policy/caller_grant.h"

namespace callgate {

std::string default_grant(const PeerIdentity& client) {
    return "uid:" + std::to_string(client.process.uid) + " exe:" + client.process.exe;
}

CallerGrant::CallerGrant(const GrantsInForce& in_force, std::string default_key, const PeerIdentity& peer)
    : in_force_(in_force), default_key_(std::move(default_key)), peer_(peer), key_(default_key_) {
    know_client({});
}

bool CallerGrant::know_client(std::string_view name) {
    if (table_ == in_force_.table && client_name_ == name) return false;
    table_ = in_force_.table;
    client_name_ = name;
    const GrantTable::Found found = table_->find({peer_, client_name_, [this] { return hash_of_program(); }});
    const std::string& key = found.grant ? found.grant->name : default_key_;
    const bool is_refused = !found.grant && !found.is_tie && table_->denies_others();
    const GrantRefusal refusal = found.is_tie ? GrantRefusal::tie : is_refused ? GrantRefusal::no_grant : GrantRefusal::none;
    const bool is_other = key_ != key || refusal_ != refusal;
    key_ = key;
    grant_ = found.grant;
    refusal_ = refusal;
    return is_other;
}

void CallerGrant::apply_to(Caller& caller) const {
    caller.grant = key_;
    caller.named_grant = grant_;
    caller.refusal = refusal_;
}

// Of the process that was seen, not of one that has its number now. Asked once: a process that runs another program now is
// another caller only when it begins another session.
std::string CallerGrant::hash_of_program() {
    if (hash_) return *hash_;
    hash_.emplace();
    const ProcessFacts& seen = peer_.process;
    Result<std::string> hash = exe_sha256_of(seen.pid);
    Result<ProcessFacts> now = read_process(seen.pid);
    if (hash.ok() && now.ok() && now->start_time == seen.start_time && now->exe == seen.exe) hash_ = std::move(hash).value();
    return *hash_;
}

}  // namespace callgate
