// The fingerprint of a call: SHA-256 over everything that an approval is for, and so that a human can be shown all of it:
//
// - the policy and its revision, and the grant
// - the server: package, version, program, command, working directory, user, where it listens. Not its process: started
//   anew as it was, it is the same
// - the method, the tool by the name that was used, its arguments
// - every other member of the params (`task`, `_meta`, what was never heard of); of a method that carries calls all of its
//   params, and so the other calls
//
// Arguments and params in their canonical form: two spellings of one call share it, and no two calls do. Not part of it are
// the id of the message, and the members of `_meta` that name the one call and not what is to be done: kCallNames, and what
// the policy names in "ignore_meta".
#pragma once
#include <array>
#include <optional>
#include <string>

#include "policy/approval_desk.h"

namespace callgate {

struct CallFingerprint {
    std::array<char, 32> hash;
    // What the fingerprint covers of the params beside tool and arguments, canonical; "" where that is nothing.
    //   {"name":"t","arguments":{},"task":{"ttl":60},"_meta":{"progressToken":1}}  ->  {"task":{"ttl":6e1}}
    std::string other_params;
};

// Nothing where the arguments cannot be read.
std::optional<CallFingerprint> fingerprint_of(const ApprovalQuestion& question);

}  // namespace callgate
