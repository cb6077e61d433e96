#include "policy/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace callgate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Store : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = ::testing::TempDir() + "callgate_store_XXXXXX";
        ASSERT_NE(mkdtemp(pattern.data()), nullptr);
        directory_ = pattern;
        server_.process.pid = getpid();
        server_.process.uid = 1000;
        server_.process.user = "ada";
        server_.command = "node /opt/server/index.js --stdio";
        server_.package.name = "some-server";
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    void write(const std::string& name, std::string_view text, mode_t mode = 0644) {
        std::ofstream(directory_ + "/" + name) << text;
        ASSERT_EQ(chmod((directory_ + "/" + name).c_str(), mode), 0);
    }
    void write_policy(const std::string& name, const std::string& server, const std::string& more = "") {
        write(name + ".json", R"({"version":"1","default":"deny","server":{)" + server + "}" + more + "}");
    }
    PolicyStore load() {
        Result<PolicyStore> store = PolicyStore::load(directory_);
        EXPECT_TRUE(store.ok());
        return std::move(store).value();
    }
    std::vector<std::string> problems(const PolicyStore& store) {
        std::vector<std::string> out;
        for (const PolicyProblem& problem : store.problems()) {
            EXPECT_TRUE(problem.file.starts_with(directory_ + "/")) << problem.file;
            out.push_back(problem.text().substr(directory_.size() + 1));
        }
        return out;
    }
    // The name of the policy that governs server_, "" where none does.
    std::string governing() {
        const PolicyStore store = load();
        EXPECT_THAT(problems(store), ElementsAre());
        const PolicyStore::Match match = store.find(server_);
        return match.policy ? match.policy->name() : "";
    }

    std::string directory_;
    ServerIdentity server_;
};

TEST_F(Store, MissingDirectoryIsAnError) {
    const Result<PolicyStore> store = PolicyStore::load(directory_ + "/nowhere");
    ASSERT_FALSE(store.ok());
    EXPECT_EQ(store.error().text(), "opendir " + directory_ + "/nowhere: No such file or directory");
}

TEST_F(Store, ReadsJsonFilesInTheOrderOfTheirNames) {
    write_policy("b", R"("package":"b")");
    write_policy("a", R"("package":"a")");
    write("notes.txt", "not a policy");
    write(".hidden.json", "not a policy");
    write("a.test.json", "tests of a policy");
    const PolicyStore store = load();
    EXPECT_THAT(problems(store), ElementsAre());
    ASSERT_EQ(store.policies().size(), 2u);
    EXPECT_EQ(store.policies()[0]->name(), "a");
    EXPECT_EQ(store.policies()[1]->name(), "b");
}

TEST_F(Store, YamlFilesArePoliciesToo) {
    write("a.yaml", "version: \"1\"\nserver: {package: a}\ntools: {x: {rules: [{name: r, action: deny}]}}\n");
    write("b.yml", "version: \"1\"\ndefault: deny\nserver: {package: some-server}\n");
    write("c.yaml", "version: \"1\"\ntools:\n  x: {rules: [{name: r}]}\n");
    const PolicyStore store = load();
    EXPECT_THAT(problems(store), ElementsAre(HasSubstr("c.yaml:3:15: /tools/x/rules/0: key \"conditions\" is missing")));
    ASSERT_EQ(store.policies().size(), 2u);
    EXPECT_EQ(store.policies()[0]->name(), "a");
    EXPECT_EQ(store.find(server_).policy->name(), "b");
}

TEST_F(Store, OfTwoFilesOfOneNameTheFirstIsRead) {
    write_policy("a", R"("package":"some-server")");
    write("a.yaml", "version: \"1\"\ndefault: allow\nserver: {package: some-server}\n");
    const PolicyStore store = load();
    EXPECT_THAT(problems(store),
                ElementsAre("a.yaml: has the same name as a.json, which is the one that is read; remove one of the two"));
    ASSERT_EQ(store.policies().size(), 1u);
    EXPECT_TRUE(store.find(server_).tie.empty());
}

TEST_F(Store, OneBadFileDisablesOnlyItself) {
    write("a.json", "{");
    write("b.json", R"({"version":"1","default":"deny"})");
    write_policy("c", "");
    write_policy("d", R"("package":"some-server")");
    const PolicyStore store = load();
    EXPECT_THAT(problems(store),
                ElementsAre(HasSubstr("a.json:1:2: not JSON"), "b.json:1:1: /server: names no server, so it governs none",
                            "c.json:1:1: /server: names no server, so it governs none"));
    ASSERT_EQ(store.policies().size(), 1u);
    EXPECT_EQ(store.find(server_).policy->name(), "d");
}

TEST_F(Store, FilesThatOthersCouldHaveWrittenAreRefused) {
    const std::string text = R"({"version":"1","default":"deny","server":{"package":"some-server"}})";
    write("group.json", text, 0664);
    write("other.json", text, 0646);
    write("fine.json", text, 0644);
    ASSERT_EQ(symlink("fine.json", (directory_ + "/link.json").c_str()), 0);
    ASSERT_EQ(mkfifo((directory_ + "/fifo.json").c_str(), 0600), 0);
    ASSERT_EQ(mkdir((directory_ + "/dir.json").c_str(), 0700), 0);
    const PolicyStore store = load();
    EXPECT_THAT(
        problems(store),
        ElementsAre("dir.json: is a directory, not a regular file; name its files, as in " + directory_ + "/dir.json/*.json",
                    "fifo.json: is not a regular file; put the policy into one",
                    "group.json: can be written by others than its owner; chmod go-w it",
                    "link.json: is a symbolic link, not a regular file; put the policy itself in its place",
                    "other.json: can be written by others than its owner; chmod go-w it"));
    EXPECT_EQ(store.policies().size(), 1u);
}

TEST_F(Store, SoAreThoseOfSomebodyElse) {
    ASSERT_EQ(geteuid(), 0u) << "run as root";
    write_policy("a", R"("package":"some-server")");
    ASSERT_EQ(chown((directory_ + "/a.json").c_str(), 1234, 0), 0);
    const PolicyStore store = load();
    EXPECT_THAT(problems(store),
                ElementsAre("a.json: belongs to user 1234, who could change what the agent goes by; chown root it"));
    EXPECT_TRUE(store.policies().empty());
}

TEST_F(Store, ADirectoryThatOthersCouldHaveWrittenIsAnError) {
    ASSERT_EQ(geteuid(), 0u) << "run as root";
    write_policy("a", R"("package":"some-server")");
    ASSERT_EQ(chmod(directory_.c_str(), 0777), 0);
    Result<PolicyStore> store = PolicyStore::load(directory_);
    ASSERT_FALSE(store.ok());
    EXPECT_THAT(store.error().text(), HasSubstr("can be written by others than its owner"));
    ASSERT_EQ(chmod(directory_.c_str(), 0755), 0);
    ASSERT_EQ(chown(directory_.c_str(), 1234, 0), 0);
    store = PolicyStore::load(directory_);
    ASSERT_FALSE(store.ok());
    EXPECT_THAT(store.error().text(), HasSubstr("belongs to user 1234"));
}

TEST_F(Store, LinksOfAConfigMapAreFollowed) {
    ASSERT_EQ(mkdir((directory_ + "/..1").c_str(), 0755), 0);
    write("..1/a.json", R"({"version":"1","default":"deny","server":{"package":"some-server"}})", 0644);
    ASSERT_EQ(symlink("..1", (directory_ + "/..data").c_str()), 0);
    ASSERT_EQ(symlink("..data/a.json", (directory_ + "/a.json").c_str()), 0);
    const PolicyStore store = load();
    EXPECT_THAT(problems(store), ElementsAre());
    ASSERT_EQ(store.policies().size(), 1u);
    EXPECT_EQ(store.policies()[0]->name(), "a");
}

TEST_F(Store, LinksThatLeadElsewhereAreNot) {
    ASSERT_EQ(mkdir((directory_ + "/below").c_str(), 0755), 0);
    write("below/open.json", R"({"version":"1","default":"deny","server":{"package":"some-server"}})", 0664);
    ASSERT_EQ(symlink("below/open.json", (directory_ + "/a.json").c_str()), 0);
    ASSERT_EQ(symlink((directory_ + "/below/open.json").c_str(), (directory_ + "/b.json").c_str()), 0);
    ASSERT_EQ(symlink("../../etc/passwd", (directory_ + "/c.json").c_str()), 0);
    ASSERT_EQ(symlink("/proc/self/fd/0", (directory_ + "/d.json").c_str()), 0);
    const std::string link = "is a symbolic link, not a regular file; put the policy itself in its place";
    EXPECT_THAT(problems(load()), ElementsAre("a.json: can be written by others than its owner; chmod go-w it", "b.json: " + link,
                                              "c.json: " + link, "d.json: " + link));
}

TEST_F(Store, ReadAgainWhatIsTheSameIsTheSameObject) {
    write_policy("a", R"("package":"some-server")");
    write_policy("b", R"("package":"another")");
    const PolicyStore before = load();
    write_policy("b", R"("package":"a-third")");
    const Result<PolicyStore> after = PolicyStore::load(directory_, &before);
    ASSERT_TRUE(after.ok());
    ASSERT_EQ(after.value().policies().size(), 2u);
    EXPECT_EQ(after.value().policies()[0], before.policies()[0]);
    EXPECT_NE(after.value().policies()[1], before.policies()[1]);
    EXPECT_FALSE(after.value().is_same(before));
    const Result<PolicyStore> again = PolicyStore::load(directory_, &after.value());
    ASSERT_TRUE(again.ok());
    EXPECT_TRUE(again.value().is_same(after.value()));
}

TEST_F(Store, ABadFileLeavesItsLastGoodVersionInForce) {
    write_policy("a", R"("package":"some-server")");
    const PolicyStore before = load();
    write("a.json", "{ not json", 0644);
    const Result<PolicyStore> bad = PolicyStore::load(directory_, &before);
    ASSERT_TRUE(bad.ok());
    EXPECT_THAT(problems(bad.value()), ElementsAre(HasSubstr("its last good version stays in force")));
    EXPECT_EQ(bad.value().policies(), before.policies());
    // Still so when it is read once more, and over when the file goes.
    const Result<PolicyStore> again = PolicyStore::load(directory_, &bad.value());
    ASSERT_TRUE(again.ok());
    EXPECT_TRUE(again.value().is_same(bad.value()));
    ASSERT_EQ(unlink((directory_ + "/a.json").c_str()), 0);
    const Result<PolicyStore> gone = PolicyStore::load(directory_, &again.value());
    ASSERT_TRUE(gone.ok());
    EXPECT_TRUE(gone.value().policies().empty());
}

TEST_F(Store, FilesThatAreTooLargeAreRefused) {
    write("a.json", "");
    ASSERT_EQ(truncate((directory_ + "/a.json").c_str(), (off_t{16} << 20) + 1), 0);
    EXPECT_THAT(problems(load()),
                ElementsAre("a.json: is larger than 16 MiB, which no policy needs; split it into one file for each server"));
}

TEST_F(Store, NoPolicyNamesTheServer) {
    write_policy("a", R"("package":"another")");
    EXPECT_EQ(governing(), "");
    server_.package.name = "";
    EXPECT_EQ(governing(), "");
}

TEST_F(Store, EveryMemberThatIsGivenMustMatch) {
    write_policy("a", R"("package":"some-server","command":"node *","user":"ada")");
    EXPECT_EQ(governing(), "a");
    server_.process.user = "bob";
    EXPECT_EQ(governing(), "");
    server_.process.user = "ada";
    server_.command = "deno run x";
    EXPECT_EQ(governing(), "");
}

TEST_F(Store, CommandIsAPatternOverTheWholeLine) {
    write_policy("a", R"("command":"node * --stdio")");
    EXPECT_EQ(governing(), "a");
    write_policy("a", R"("command":"index.js")");
    EXPECT_EQ(governing(), "");
}

TEST_F(Store, UserIsANameOrANumber) {
    write_policy("a", R"("user":"1000")");
    EXPECT_EQ(governing(), "a");
    write_policy("a", R"("user":"ada")");
    EXPECT_EQ(governing(), "a");
    write_policy("a", R"("user":"1001")");
    EXPECT_EQ(governing(), "");
}

TEST_F(Store, WhereItListens) {
    write_policy("a", R"("package":"some-server","listen":"127.0.0.1:3000")");
    EXPECT_EQ(governing(), "");  // on stdio
    server_.listens = {"[::1]:4000", "0.0.0.0:3000"};
    EXPECT_EQ(governing(), "a");
    server_.listens = {"127.0.0.1:3001"};
    EXPECT_EQ(governing(), "");
    write_policy("a", R"("listen":":3001")");
    EXPECT_EQ(governing(), "a");
}

TEST_F(Store, APathIsForServersThatListen) {
    write_policy("a", R"("package":"some-server","path":"/mcp")");
    write_policy("b", R"("package":"some-server")");
    EXPECT_EQ(governing(), "b");
    server_.listens = {"127.0.0.1:3001"};
    EXPECT_EQ(governing(), "a");
}

TEST_F(Store, WithoutThemBothTransportsAreGoverned) {
    write_policy("a", R"("package":"some-server")");
    EXPECT_EQ(governing(), "a");
    server_.listens = {"127.0.0.1:3001"};
    EXPECT_EQ(governing(), "a");
}

TEST_F(Store, TheMostSpecificWins) {
    write_policy("user", R"("user":"ada")");
    write_policy("command", R"("command":"node*")");
    EXPECT_EQ(governing(), "command");
    write_policy("package", R"("package":"some-server")");
    EXPECT_EQ(governing(), "package");
    write_policy("hash", R"("exe_sha256":")" + std::string(64, 'a') + "\"");
    server_.exe_sha256 = std::string(64, 'a');
    EXPECT_EQ(governing(), "hash");
    write_policy("two", R"("command":"node*","user":"ada")");
    EXPECT_EQ(governing(), "two");
}

TEST_F(Store, TheHashIsAskedForOnlyWhereAPolicyNamesOne) {
    write_policy("a", R"("package":"some-server")");
    EXPECT_EQ(governing(), "a");
    EXPECT_EQ(server_.exe_sha256, "");
    write_policy("b", R"("package":"another","exe_sha256":")" + std::string(64, 'b') + "\"");
    EXPECT_EQ(governing(), "a");
    EXPECT_EQ(server_.exe_sha256, "");  // its package does not match anyway
    write_policy("b", R"("exe_sha256":")" + std::string(64, 'b') + "\"");
    EXPECT_EQ(governing(), "a");
    EXPECT_EQ(server_.exe_sha256.size(), 64u);  // this process's own
    write_policy("b", "\"exe_sha256\":\"" + server_.exe_sha256 + "\"");
    EXPECT_EQ(governing(), "b");
}

TEST_F(Store, AProgramThatCannotBeReadMatchesNoHash) {
    write_policy("a", R"("exe_sha256":")" + std::string(64, 'b') + "\"");
    server_.process.pid = -1;
    EXPECT_EQ(governing(), "");
}

// It may be the one that is named, so it is not let go where something else names it, too.
TEST_F(Store, AProgramOfWhichNobodyKnowsTheHash) {
    const std::string program = directory_ + "/large";
    std::filesystem::copy_file("/bin/sleep", program);
    std::filesystem::resize_file(program, (uint64_t{1} << 30) + 1);
    const pid_t pid = fork();
    if (pid == 0) {
        execl(program.c_str(), "large", "1000", nullptr);
        _exit(127);
    }
    for (int i = 0; i < 5000 && read_process(pid)->exe != program; ++i) usleep(1000);
    server_.process.pid = pid;
    const std::string hash = R"("exe_sha256":")" + std::string(64, 'b') + "\"";
    write_policy("user", hash + R"(,"user":"ada")");
    EXPECT_EQ(governing(), "");
    write_policy("package", hash + R"(,"package":"some-server")", R"(,"mode":"shadow","tools":{"x":{}})");
    const PolicyStore::Match match = load().find(server_);
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    ASSERT_TRUE(match.policy);
    EXPECT_EQ(match.policy->name(), "package");
    EXPECT_EQ(match.policy->mode(), Mode::shadow);
    CounterTable counters;
    const Verdict verdict = match.policy->judge_tool({"x"}, {"g", "s", "v"}, 0, counters);
    EXPECT_EQ(verdict.action, Action::deny);
    EXPECT_EQ(verdict.rule, "(unknown program)");
}

TEST_F(Store, ATieDeniesEverything) {
    write_policy("a", R"("command":"node*")", R"(,"mode":"shadow","tools":{"x":{}})");
    write_policy("b", R"("command":"*stdio")", R"(,"mode":"observe","tools":{"x":{}})");
    CounterTable counters;
    const auto match = [&] { return load().find(server_); };
    EXPECT_EQ(match().tie, "a, b");
    ASSERT_TRUE(match().policy);
    EXPECT_EQ(match().policy->mode(), Mode::shadow);
    const Verdict verdict = match().policy->judge_tool({"x"}, {"g", "s", "v"}, 0, counters);
    EXPECT_EQ(verdict.action, Action::deny);
    EXPECT_EQ(verdict.code, -31403);
    write_policy("b", R"("command":"*stdio")", R"(,"tools":{"x":{}})");
    EXPECT_EQ(match().policy->mode(), Mode::enforce);
    // A more specific one settles it.
    write_policy("c", R"("package":"some-server")");
    EXPECT_EQ(match().tie, "");
    EXPECT_EQ(match().policy->name(), "c");
}

}  // namespace
}  // namespace callgate
