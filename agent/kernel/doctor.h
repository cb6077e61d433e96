// What this kernel lets callgate do, found out by trying (invariant I5), and what will therefore be blind.
#pragma once
#include <string>
#include <vector>

namespace callgate {

enum class CheckState { ok, degraded, failed };

struct Check {
    std::string name;
    CheckState state = CheckState::ok;
    std::string detail;
    std::string remedy;  // empty where nothing is wrong
};

struct DoctorReport {
    std::vector<Check> checks;
    std::vector<std::string> mechanism;  // what is used: "detect: tp_btf/sys_exit", …
    std::vector<std::string> blind;      // what cannot be governed on this host, and why
};

// `relay`: of what moves the bytes, which is further on the path than this.
DoctorReport examine_host(Check relay);

}  // namespace callgate
