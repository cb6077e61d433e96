// What a Gate needs, for real, in a directory that is gone after the test.
#pragma once
#include <gtest/gtest.h>

#include <fstream>

#include "../session/temp_tree.h"
#include "enforce/gate.h"

namespace callgate {

class GateWorld {
  public:
    GateWorld() {
        auto opened = AuditLog::open(tree_.path("/audit.jsonl"), tree_.path("/secret"));
        EXPECT_TRUE(opened.ok()) << opened.error().text();
        log = std::move(opened).value();
    }
    GateOptions options(std::string_view policy, Opening::Start start = Opening::Start::decided) {
        std::vector<PolicyProblem> problems;
        GateOptions made;
        made.policy = Policy::load(policy, "p.json", problems);
        for (const PolicyProblem& problem : problems) ADD_FAILURE() << problem.text();
        SessionFacts facts;
        facts.session_id = "s-1";
        made.audit_session = log->describe(facts);
        made.grant = "uid:0 exe:/bin/client";
        made.session_id = "s-1";
        made.start = start;
        return made;
    }
    // Ends the log.
    std::string audit_text() {
        log.reset();
        std::ifstream file(tree_.path("/audit.jsonl"));
        return {std::istreambuf_iterator<char>(file), {}};
    }

    std::unique_ptr<AuditLog> log;
    CounterTable counters;

  private:
    TempTree tree_;
};

inline std::string call_line(std::string_view id, std::string_view tool) {
    return R"({"jsonrpc":"2.0","id":)" + std::string(id) + R"(,"method":"tools/call","params":{"name":")" + std::string(tool) +
           "\"}}\n";
}
inline std::string result_line(std::string_view id, std::string_view result = "{}") {
    return R"({"jsonrpc":"2.0","id":)" + std::string(id) + R"(,"result":)" + std::string(result) + "}\n";
}

}  // namespace callgate
