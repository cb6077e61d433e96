// How counters are shown: each with what its key says, and under a name that `callgate counters reset` takes.
//
//   p␟g:uid:0 exe:/bin/x␟echo␟echo_rate␟60  ->  name "p|g:uid:0 exe:/bin/x|echo|echo_rate|60", server "p", scope "grant",
//   caller "uid:0 exe:/bin/x", tool "echo", counter "echo_rate"
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "policy/counters.h"

namespace callgate {

std::string counter_name(std::string_view key);
// {"counters": [{"name","server","scope","caller","tool","counter","kind","count","max","window_s","window_start"}],
//  "total": n}; at most kCountersListedMax are listed. In flight there are no windows.
nlohmann::json counters_json(const std::vector<CounterTable::Row>& rows);

}  // namespace callgate
