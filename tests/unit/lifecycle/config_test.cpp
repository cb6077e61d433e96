#include "lifecycle/config.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "../session/temp_tree.h"

namespace callgate {
namespace {

using ::testing::HasSubstr;

class ConfigTest : public ::testing::Test {
  protected:
    Config load(const std::string& text, mode_t mode = 0600) {
        tree_.file("/callgate.json", text);
        EXPECT_EQ(chmod(tree_.path("/callgate.json").c_str(), mode), 0);
        problems_.clear();
        auto config = load_config(tree_.root(), problems_);
        EXPECT_TRUE(config.ok());
        return config ? std::move(*config) : Config();
    }
    std::string problem(const std::string& text) {
        load(text);
        EXPECT_EQ(problems_.size(), 1u) << text;
        return problems_.empty() ? "" : problems_.front().text();
    }
    TempTree tree_;
    std::vector<PolicyProblem> problems_;
};

TEST_F(ConfigTest, WhatOthersCouldHaveWrittenIsRefused) {
    ASSERT_EQ(geteuid(), 0u) << "run as root";
    load("{}", 0664);
    ASSERT_EQ(problems_.size(), 1u);
    EXPECT_THAT(problems_[0].text(), HasSubstr("callgate.json: can be written by others than its owner"));
    ASSERT_EQ(chown(tree_.root().c_str(), 1234, 0), 0);
    EXPECT_THAT(problem("{}"), HasSubstr(tree_.root() + ": belongs to user 1234"));
}

TEST_F(ConfigTest, EmptyObjectIsAWholeConfiguration) {
    Config config = load("{}");
    EXPECT_TRUE(problems_.empty());
    EXPECT_EQ(config.audit_file, "/var/log/callgate/audit.jsonl");
    EXPECT_EQ(config.audit_arguments, AuditArguments::hash);
    EXPECT_EQ(config.frame_bytes_max, kFrameBytesDefault);
    EXPECT_FALSE(config.deny_unnamed);
    EXPECT_EQ(config.stop_timeout_s, 60);
}

TEST_F(ConfigTest, ReadsEveryMember) {
    Config config = load(R"({"scope":{"trees":[12],"cgroups":["/sys/fs/cgroup/a"],"users":["root",1000]},
        "audit":{"file":"/a","arguments":"full"},"control":{"socket":"/c"},"state_directory":"/s","unnamed":"deny",
        "frame_bytes_max":2048,"stop_timeout_s":0,"$comment":"x"})");
    for (const PolicyProblem& each : problems_) ADD_FAILURE() << each.text();
    EXPECT_EQ(config.scope.trees, std::vector<pid_t>{12});
    EXPECT_EQ(config.scope.cgroups, std::vector<std::string>{"/sys/fs/cgroup/a"});
    EXPECT_EQ(config.scope.users, (std::vector<uid_t>{0, 1000}));
    EXPECT_EQ(config.audit_file, "/a");
    EXPECT_EQ(config.audit_arguments, AuditArguments::full);
    EXPECT_EQ(config.control_socket, "/c");
    EXPECT_EQ(config.state_directory, "/s");
    EXPECT_TRUE(config.deny_unnamed);
    EXPECT_EQ(config.frame_bytes_max, 2048u);
    EXPECT_EQ(config.stop_timeout_s, 0);
}

TEST_F(ConfigTest, WebhookOfApprovals) {
    Config config = load(R"({"approvals":{"webhook":{"url":"https://example.org/h","secret_file":"/s"}}})");
    EXPECT_TRUE(problems_.empty());
    EXPECT_EQ(config.webhook_url, "https://example.org/h");
    EXPECT_EQ(config.webhook_secret_file, "/s");
    EXPECT_TRUE(load(R"({"approvals":{}})").webhook_url.empty());
    EXPECT_THAT(problem(R"({"approvals":{"webhook":{"url":"http://example.org"}}})"),
                HasSubstr("/approvals/webhook/url: expected an address"));
    EXPECT_THAT(problem(R"({"approvals":{"webhook":{}}})"), HasSubstr("\"url\" is missing"));
    EXPECT_THAT(problem(R"({"approvals":{"webhook":{"url":"https://a","secret_file":"s"}}})"), HasSubstr("give the whole path"));
    EXPECT_THAT(problem(R"({"approvals":{"webhok":{}}})"), HasSubstr("did you mean \"webhook\"?"));
}

TEST_F(ConfigTest, UnknownKeysNameTheNearest) {
    EXPECT_THAT(problem(R"({"frame_byte_max":4096})"), HasSubstr("did you mean \"frame_bytes_max\"?"));
    EXPECT_THAT(problem(R"({"scope":{"user":[]}})"), HasSubstr("did you mean \"users\"?"));
    EXPECT_THAT(problem(R"({"unnamed":"denny"})"), HasSubstr("did you mean \"deny\"?"));
}

TEST_F(ConfigTest, WrongTypesAndRanges) {
    for (const char* text : {R"({"scope":[]})", R"({"scope":{"trees":["1"]}})", R"({"scope":{"trees":[0]}})",
                             R"({"scope":{"cgroups":["relative"]}})", R"({"scope":{"users":["no such user here"]}})",
                             R"({"scope":{"users":[-1]}})", R"({"audit":{"file":1}})", R"({"audit":{"arguments":"some"}})",
                             R"({"frame_bytes_max":10})", R"({"stop_timeout_s":"60"})", R"([])", R"({"unnamed":true})"})
        EXPECT_THAT(problem(text), HasSubstr("callgate.json")) << text;
    EXPECT_THAT(problem("{\n \"audit\": 1}"), HasSubstr("callgate.json:2:"));
    load("{broken");
    EXPECT_FALSE(problems_.empty());
}

TEST_F(ConfigTest, NumbersThatAreNoProcessOrUser) {
    problem(R"({"scope":{"users":[4294967296]}})");
    problem(R"({"scope":{"trees":[4294967297]}})");
}

TEST_F(ConfigTest, FileThatOthersCanWriteIsRefused) {
    for (mode_t mode : {0620, 0602, 0666}) {
        load("{}", mode);
        ASSERT_EQ(problems_.size(), 1u);
        EXPECT_THAT(problems_[0].text(), HasSubstr("chmod go-w"));
    }
}

TEST_F(ConfigTest, SaysWhetherTheScopeIsClear) {
    for (const char* text : {"{}", R"({"nonsense":1})", R"({"audit":{"file":3},"scope":{"users":["root"]}})"}) {
        load(text);
        EXPECT_TRUE(scope_is_clear(problems_)) << text;
    }
    for (const char* text :
         {"{broken", "[]", R"({"scop":{}})", R"({"scope":{"user":["root"]}})", R"({"scope":1,"nonsense":1})"}) {
        load(text);
        EXPECT_FALSE(scope_is_clear(problems_)) << text;
    }
    load("{}", 0666);
    EXPECT_FALSE(scope_is_clear(problems_));
}

TEST_F(ConfigTest, AbsentFileIsAnError) {
    auto config = load_config(tree_.path("/nowhere"), problems_);
    ASSERT_FALSE(config.ok());
    EXPECT_EQ(config.error().code, ENOENT);
}

}  // namespace
}  // namespace callgate
