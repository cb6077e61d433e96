// What a decision about a recorded message depends on and the record does not say. A record has the values of
// arguments only where the configuration asked for them, and never what a server said of its tools.
//
//   deny_if args.amount gt 100, the record lists the key "amount"     ->  "arguments"
//   …, the record lists other keys                                     ->  "": nothing is there, so the
//   condition does not hold hidden tools, default deny, limits that count calls                ->  ""
//
// Values that a rule asks for and that cannot change the decision are not missed.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "policy/policy.h"
#include "policy/trial_call.h"

namespace callgate {

struct RecordedFacts {
    bool has_values = true;  // everything that conditions call "args" is as it was
    bool has_keys = false;   // else, of a tool or prompt: `keys` are all members of its arguments
    std::vector<std::string> keys;
    bool has_name = true;    // what names in a policy are compared with
    bool has_uri = false;    // params.uri is as it was, whatever else is missing
    bool has_client = true;  // clientInfo, or that there was none
    bool has_server_user = true;
};

// What is missing: "arguments", "annotations", "clientInfo", "grant", …; "" where nothing is. Of a trial whose message
// is not refused. The message has null in the place of values that are not known.
std::string_view missing_facts(const Policy& policy, const Trial& trial, const RecordedFacts& facts, bool from_server);

}  // namespace callgate
