// Audit records as the log writes them, for tests of what reads them.
#pragma once
#include <string>

namespace callgate {

// A record of a tools/call that was allowed, with `more` members: `,"arguments":{…}`.
inline std::string call_line(int second, const std::string& tool, const std::string& more = "",
                             const std::string& decision = R"("allow")") {
    static int number = 0;
    const std::string two = (second < 10 ? "0" : "") + std::to_string(second);
    return R"({"time":"2026-11-03T08:15:)" + two + R"(.000000000Z","id":"r)" + std::to_string(number++) +
           R"(","type":"message","session":"s1","transport":"stdio","direction":"c2s","kind":"request","method":"tools/call","tool":")" +
           tool + R"(","rpc_id":1,"decision":)" + decision + more +
           R"(,"server":{"pid":7,"uid":1000,"user":"ana","package":"pay","command":"node pay.js"},"peer":{"pid":6,"uid":1000,"user":"ana","exe":"/usr/bin/claude","parents":[]},"grant":"g1","policy":"pay","mode":"enforce"})";
}

}  // namespace callgate
