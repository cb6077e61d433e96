// For ledgers of which the form of a state is not what is tested: each is kept aside, as it is.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "enforce/session_ledger.h"

namespace callgate {

struct StatesAside {
    std::vector<GateState> all;
    size_t padding = 0;  // so many bytes more
    SessionLedger::Form form() {
        return {[this](const GateState& state) {
                    all.push_back(state);
                    return std::to_string(all.size() - 1) + std::string(padding, ' ');
                },
                [this](std::string_view text) -> Result<GateState> { return all.at(std::stoul(std::string(text))); }};
    }
    std::unique_ptr<SessionLedger> ledger() { return std::make_unique<SessionLedger>(Ledger::create().value(), form()); }
};

}  // namespace callgate
