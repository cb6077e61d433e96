// What a policy may say of approvals, and what is wrong with it where it says something else.
#include "policy/approval_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/webhook_url.h"

namespace callgate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> problems_of(const std::string& members) {
    std::vector<PolicyProblem> problems;
    const auto policy = Policy::load(R"({"version":"1","default":"deny",)" + members + "}", "p.json", problems);
    EXPECT_EQ(policy == nullptr, !problems.empty());
    std::vector<std::string> texts;
    for (const PolicyProblem& problem : problems) texts.push_back(problem.path + ": " + problem.message);
    return texts;
}

TEST(ApprovalLoader, TakesTheWholeOfIt) {
    EXPECT_THAT(
        problems_of(
            R"("approval_timeout":"30m","approvals":{"dedupe_window":"10m","notify":{"webhook":{"url":"https://example.org/h?x=1"}}},
        "tools":{"a":{"action":"require_approval","approval_timeout":"1h","hold_ms":1000},
                 "b":{"require_approval":[{"conditions":[{"path":"args.x","op":"exists","value":true}]}],"hold_ms":600000}},
        "methods":{"sampling/createMessage":{"action":"require_approval","approval_timeout":"30d","names":{"n":{"require_approval":[{"conditions":[]}],"hold_ms":1}}}})"),
        ElementsAre());
    EXPECT_THAT(problems_of(R"("approvals":{"dedupe_window":"0s","notify":{}})"), ElementsAre());
}

TEST(ApprovalLoader, TimesHaveUnitsAndBounds) {
    for (const char* bad : {"30", "\"30\"", "\"\"", "\"0s\"", "\"31d\"", "\"-5m\"", "null", "\"5m1h\""})
        EXPECT_THAT(problems_of(std::string("\"approval_timeout\":") + bad), ElementsAre(HasSubstr("/approval_timeout: ")))
            << bad;
    EXPECT_THAT(problems_of(R"("approval_timeout":"soon")"), ElementsAre(HasSubstr("expected a time such as \"30m\"")));
    EXPECT_THAT(problems_of(R"("approvals":{"dedupe_window":"31d"})"),
                ElementsAre(HasSubstr("/approvals/dedupe_window: must be 0 s at least and 30 days")));
    EXPECT_THAT(problems_of(R"("tools":{"a":{"action":"require_approval","hold_ms":600001}})"),
                ElementsAre(HasSubstr("/tools/a/hold_ms")));
}

TEST(ApprovalLoader, TermsWithoutAnythingToApproveAreAMistake) {
    EXPECT_THAT(problems_of(R"("tools":{"a":{"hold_ms":5,"action":"allow"}})"),
                ElementsAre(HasSubstr("/tools/a/hold_ms: means something only beside")));
    EXPECT_THAT(problems_of(R"("tools":{"a":{"approval_timeout":"5m","deny_if":[{"conditions":[]}]}})"),
                ElementsAre(HasSubstr("/tools/a/approval_timeout: means something only beside")));
}

TEST(ApprovalLoader, AWebhookHasNoPasswordInIt) {
    const auto of = [](const std::string& url) {
        return problems_of("\"approvals\":{\"notify\":{\"webhook\":{\"url\":\"" + url + "\"}}}");
    };
    for (const char* bad :
         {"https://user:pw@host", "https://user@host/x", "https://@host", "http://u:p@localhost", "https://a@b@c?d"}) {
        EXPECT_THAT(of(bad),
                    ElementsAre(HasSubstr("/approvals/notify/webhook/url: must not have a user name or a password in it")))
            << bad;
    }
    for (const char* bad : {"https://", "https:///x", "https://:443", "ftp://h"})
        EXPECT_THAT(of(bad), ElementsAre(HasSubstr("expected an address"))) << bad;
    for (const char* good :
         {"https://host/@user", "https://host?a=b@c", "https://[2001:db8::1]:8443/x", "http://localhost:1/a@b"}) {
        EXPECT_THAT(of(good), ElementsAre()) << good;
    }
}

TEST(ApprovalLoader, IgnoredMembersAreNames) {
    EXPECT_THAT(problems_of(R"("approvals":{"ignore_meta":["acme/callId","x"]})"), ElementsAre());
    EXPECT_THAT(problems_of(R"("approvals":{"ignore_meta":"x"})"),
                ElementsAre(HasSubstr("/approvals/ignore_meta: expected an array")));
    EXPECT_THAT(problems_of(R"("approvals":{"ignore_meta":["a",1,"","b\u0000"]})"),
                ElementsAre(HasSubstr("/approvals/ignore_meta/1: expected a string"),
                            HasSubstr("/approvals/ignore_meta/2: expected the name"),
                            HasSubstr("/approvals/ignore_meta/3: expected the name")));
    std::string many = "\"a\"";
    for (int i = 0; i < 64; ++i) many += ",\"a\"";
    EXPECT_THAT(problems_of("\"approvals\":{\"ignore_meta\":[" + many + "]}"), ElementsAre(HasSubstr("more than 64")));
}

TEST(ApprovalLoader, UnknownKeysAreNamedWithTheNearest) {
    EXPECT_THAT(problems_of(R"("approvals":{"dedup_window":"1m"})"), ElementsAre(HasSubstr("did you mean \"dedupe_window\"?")));
    EXPECT_THAT(problems_of(R"("approvals":{"notify":{"webhok":{}}})"), ElementsAre(HasSubstr("webhook")));
    EXPECT_THAT(problems_of(R"("approvals":{"notify":{"webhook":{}}})"), ElementsAre(HasSubstr("\"url\" is missing")));
}

TEST(ApprovalLoader, OnlyThisHostIsToldWithoutTls) {
    for (const char* good : {"https://a", "https://host:8443/p?q#f", "http://localhost", "http://localhost:9/x",
                             "http://127.0.0.1:80/", "http://[::1]", "http://[::1]:8080/a"})
        EXPECT_EQ(webhook_url_problem(good), "") << good;
    for (const char* bad : {"", "https://", "https://user@host:8443/p?q#f", "http://example.org/", "http://127.0.0.1.evil.org/",
                            "http://localhost@evil.org/", "http://localhost:1@evil.org/", "ftp://localhost/",
                            "file:///etc/passwd", "https://a b", "https://a\n", "HTTPS://a", "http://[::1].evil.org"})
        EXPECT_NE(webhook_url_problem(bad), "") << bad;
    EXPECT_NE(webhook_url_problem("https://" + std::string(3000, 'a')), "");
    EXPECT_THAT(problems_of(R"("approvals":{"notify":{"webhook":{"url":"http://example.org"}}})"),
                ElementsAre(HasSubstr("/approvals/notify/webhook/url: expected an address")));
}

}  // namespace
}  // namespace callgate
