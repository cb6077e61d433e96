// What a book needs, and calls of an imaginary client; time is given.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "../session/temp_tree.h"
#include "approval/book.h"
#include "policy/caller.h"
#include "policy/counters.h"

namespace callgate {

inline constexpr int64_t kApprovalSecond = 1'000'000'000;
inline constexpr int64_t kApprovalStart = 1'767'225'600 * kApprovalSecond;

// What the clock is set to does not touch it; a test that sets the clock moves it as time passes.
inline int64_t approval_steady_ns = 0;
inline int64_t approval_steady() { return approval_steady_ns; }

// One life of an agent.
struct ApprovalLife {
    explicit ApprovalLife(const std::string& path, int64_t now_ns = kApprovalStart) {
        auto opened = Database::open(path);
        EXPECT_TRUE(opened) << opened.error().text();
        database = std::move(*opened);
        book.on_event = [this](ApprovalEvent event, const ApprovalRecord& record) {
            events += std::string(name(event)) + " " + record.tool + "\n";
        };
        const Status kept = book.keep_in(*database, now_ns);
        EXPECT_TRUE(kept) << kept.error().text();
    }
    std::string take_events() { return std::exchange(events, {}); }

    std::unique_ptr<Database> database;
    WaitingCalls waiting;
    ApprovalBook book{waiting, approval_steady};
    std::string events;
};

struct ApprovalCall {
    std::string tool = "wire_money", arguments = "{}", grant = "uid:1 exe:/bin/c", revision = "r1", policy = "bank",
                method = "tools/call";
    bool is_carried = false;
    // "": as of a message that is nothing but this call.
    std::string params;
    ServerIdentity server;
    PeerIdentity peer;
    std::string client_name;
    ApprovalRules rules;
    int64_t hold_ms = 0;

    // As judging asks.
    bool is_approved(ApprovalBook& book, int64_t now_ns, Verdict& verdict) const {
        Caller caller{grant, "s-1", policy, &server, &peer};
        caller.client_name = client_name;
        const std::string whole = "{\"name\":\"" + tool + "\",\"arguments\":" + (arguments.empty() ? "{}" : arguments) + "}";
        ApprovalQuestion question;
        question.method = method;
        question.tool = tool;
        question.arguments = arguments;
        question.params = params.empty() ? whole : params;
        question.is_carried = is_carried;
        question.policy = policy;
        question.revision = revision;
        question.rules = &rules;
        question.timeout_s = rules.timeout_s;
        question.hold_ms = hold_ms;
        question.rule = "/tools/wire_money/action";
        question.reason = "It needs the approval of a human.";
        question.caller = &caller;
        return book.is_approved(question, now_ns, verdict);
    }
    // "passed", or the code and the id of its denial.
    std::string sent(ApprovalBook& book, int64_t now_ns = kApprovalStart, std::string_view turn = {}) const {
        Verdict verdict;
        if (!is_approved(book, now_ns, verdict)) {
            id = std::string(verdict.approval.view());
            reason = std::string(verdict.reason);
            rule = std::string(verdict.rule);
            return std::to_string(verdict.code);
        }
        const Status used = book.use(verdict.approvals, now_ns, turn);
        return used ? "passed" : used.error().text();
    }
    mutable std::string id, reason, rule;  // of the last that was sent
};

inline ApprovalDecider alice() { return {0, 1000, "root", "alice"}; }

// A book in a file, and one call.
class ApprovalBookTest : public ::testing::Test {
  protected:
    ApprovalBookTest() { life = std::make_unique<ApprovalLife>(path); }
    void restart(int64_t now_ns = kApprovalStart) {
        life.reset();
        life = std::make_unique<ApprovalLife>(path, now_ns);
    }
    std::string sent(const ApprovalCall& what, int64_t now_ns = kApprovalStart) { return what.sent(life->book, now_ns); }
    std::string decided(const std::string& id, ApprovalState decision, const std::string& reason = "",
                        int64_t now_ns = kApprovalStart) {
        auto done = life->book.decide(id, decision, alice(), reason, now_ns);
        return done ? std::string(state_name(**done)) : done.error().text();
    }
    std::string approved(const std::string& id, int64_t now_ns = kApprovalStart) {
        return decided(id, ApprovalState::approved, "", now_ns);
    }

    TempTree tree;
    std::string path = tree.path("/state.db");
    std::unique_ptr<ApprovalLife> life;
    ApprovalCall call;
};

}  // namespace callgate
