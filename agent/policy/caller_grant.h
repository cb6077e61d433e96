// CallerGrant: which grant one caller has, now and after grants.json or what the caller says of itself has changed.
//
//   CallerGrant grant(grants, default_grant(peer), peer);
//   grant.know_client("claude-code");     // before each message is judged: cheap where nothing has changed
//   grant.apply_to(caller);               // key, name and labels
//
// What a call was charged stays with the grant that it was charged to.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "policy/caller.h"
#include "policy/grant.h"

namespace callgate {

// What is in force on the loop's thread; the same for every session.
struct GrantsInForce {
    std::shared_ptr<const GrantTable> table = std::make_shared<const GrantTable>();
};

// POLICY: "the default grant is (uid, client executable)".
std::string default_grant(const PeerIdentity& client);

class CallerGrant {
  public:
    // `in_force` and `peer` outlive it. `default_key`: of the grant where the table has none for this caller.
    CallerGrant(const GrantsInForce& in_force, std::string default_key, const PeerIdentity& peer);

    // True where it is another grant than before.
    bool know_client(std::string_view name);
    void apply_to(Caller& caller) const;
    // Valid until know_client() says that it has changed.
    const std::string& key() const { return key_; }

  private:
    std::string hash_of_program();

    const GrantsInForce& in_force_;
    const std::string default_key_;
    const PeerIdentity& peer_;
    std::shared_ptr<const GrantTable> table_;  // that what follows is of
    std::string client_name_;
    std::string key_;
    const Grant* grant_ = nullptr;
    GrantRefusal refusal_ = GrantRefusal::none;
    std::optional<std::string> hash_;
};

}  // namespace callgate
