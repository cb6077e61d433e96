#include "session/identity.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sodium.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include "session/process_dir.h"
#include "temp_tree.h"

namespace callgate {
namespace {

// A child running `argv[0]` with the rest as its arguments; killed at the end.
class Child {
  public:
    explicit Child(std::vector<std::string> argv, const std::string& directory = "/") {
        pid_ = fork();
        if (pid_ == 0) {
            std::vector<char*> pointers;
            for (std::string& word : argv) pointers.push_back(word.data());
            pointers.push_back(nullptr);
            if (chdir(directory.c_str()) == 0) execv(pointers[0], pointers.data());
            _exit(127);
        }
        // The executable changes early in an exec, the command line near its end.
        std::string command;
        for (const std::string& word : argv) command += word + '\0';
        for (int i = 0; i < 5000 && command_line() != command; ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
    ~Child() {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    pid_t pid() const { return pid_; }

  private:
    std::string command_line() const {
        std::ifstream file("/proc/" + std::to_string(pid_) + "/cmdline", std::ios::binary);
        return std::string(std::istreambuf_iterator<char>(file), {});
    }
    pid_t pid_;
};

TEST(Identity, FactsOfARunningProcess) {
    Child child({"/bin/sleep", "1000"}, "/tmp");
    Result<ProcessFacts> facts = read_process(child.pid());
    ASSERT_TRUE(facts.ok()) << facts.error().text();
    EXPECT_EQ(facts->pid, child.pid());
    EXPECT_EQ(facts->parent_pid, getpid());
    EXPECT_EQ(facts->uid, geteuid());
    EXPECT_EQ(facts->gid, getegid());
    EXPECT_EQ(facts->argv, (std::vector<std::string>{"/bin/sleep", "1000"}));
    EXPECT_EQ(facts->exe, std::filesystem::canonical("/bin/sleep").string());
    EXPECT_EQ(facts->cwd, "/tmp");
    EXPECT_EQ(facts->comm, "sleep");
    EXPECT_GT(facts->start_time, 0u);
    EXPECT_FALSE(facts->user.empty());
}

std::string own_command_line() {
    std::ifstream file("/proc/self/cmdline", std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
}
ProcessStat read_own_stat() { return ProcessDir::open(getpid())->stat().value(); }

TEST(Identity, ChainOfParentsEndsAtInit) {
    Child child({"/bin/sleep", "1000"});
    Result<PeerIdentity> peer = identify_peer(child.pid());
    ASSERT_TRUE(peer.ok());
    ASSERT_FALSE(peer->parents.empty());
    EXPECT_EQ(peer->parents.front().pid, getpid());
    EXPECT_LE(peer->parents.size(), 16u);
    for (const Ancestor& parent : peer->parents) EXPECT_FALSE(parent.comm.empty());
}

TEST(Identity, ProcessesThatAreGone) {
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    siginfo_t info;
    ASSERT_EQ(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
    EXPECT_EQ(read_process(pid).error().kind, ErrorKind::gone) << "a zombie";
    waitpid(pid, nullptr, 0);
    EXPECT_EQ(read_process(pid).error().kind, ErrorKind::gone);
    EXPECT_EQ(identify_server(pid).error().kind, ErrorKind::gone);
    EXPECT_EQ(identify_peer(pid).error().kind, ErrorKind::gone);
    EXPECT_EQ(exe_sha256_of(pid).error().kind, ErrorKind::gone);
}

// It may be a file of any size that takes no room on a disk.
TEST(Identity, AProgramTooLargeToBeHashed) {
    TempTree tree;
    std::filesystem::copy_file("/bin/sleep", tree.path("/large"));
    std::filesystem::resize_file(tree.path("/large"), (uint64_t{1} << 30) + 1);
    const Child child({tree.path("/large"), "1000"});
    const auto hash = exe_sha256_of(child.pid());
    ASSERT_FALSE(hash.ok());
    EXPECT_EQ(hash.error().kind, ErrorKind::limit);
}

TEST(Identity, StatOfHostileNames) {
    Result<ProcessStat> stat = parse_stat("77 (a) R 1 (x)) S 12 77 77 0 -1 4194304 1 0 0 0 1 2 0 0 20 0 1 0 123456 99 1 2 3");
    ASSERT_TRUE(stat.ok());
    EXPECT_EQ(stat->comm, "a) R 1 (x)");
    EXPECT_EQ(stat->state, 'S');
    EXPECT_EQ(stat->parent_pid, 12);
    EXPECT_EQ(stat->start_time, 123456u);
    EXPECT_FALSE(parse_stat("").ok());
    EXPECT_FALSE(parse_stat("77 (a) S 12").ok());
    EXPECT_EQ(stat->argv_bytes, 0u);
    EXPECT_EQ(read_own_stat().argv_bytes, own_command_line().size());
}

TEST(Identity, ServerOfARealRuntime) {
    // A stand-in for node: the kernel names the executable, and only that counts.
    TempTree tree;
    std::filesystem::copy_file(std::filesystem::canonical("/bin/sleep"), tree.path("/node"));
    tree.file("/app/package.json", R"({"name":"real-server","version":"9"})");
    tree.directory("/app/1000");
    Child child({tree.path("/node"), "1000"}, tree.path("/app"));
    Result<ServerIdentity> server = identify_server(child.pid());
    ASSERT_TRUE(server.ok()) << server.error().text();
    EXPECT_EQ(server->command, tree.path("/node") + " 1000");
    EXPECT_EQ(server->package.name, "real-server");
    EXPECT_EQ(server->package.root, tree.path("/app"));

    constexpr int kRounds = 2000;
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kRounds; ++i) ASSERT_TRUE(identify_server(child.pid()).ok());
    const std::chrono::duration<double, std::micro> spent = std::chrono::steady_clock::now() - begin;
    RecordProperty("identify_server_us", std::to_string(spent.count() / kRounds));
    printf("identify_server: %.1f us\n", spent.count() / kRounds);
}

TEST(Identity, HashOfTheExecutable) {
    Child child({"/bin/sleep", "1000"});
    std::ifstream file("/bin/sleep", std::ios::binary);
    std::stringstream bytes;
    bytes << file.rdbuf();
    const std::string text = bytes.str();
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(digest, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    char hex[sizeof(digest) * 2 + 1];
    sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
    for (int i = 0; i < 2; ++i) {
        Result<std::string> hash = exe_sha256_of(child.pid());
        ASSERT_TRUE(hash.ok());
        EXPECT_EQ(*hash, hex);
    }
}

TEST(Identity, ExecPathname) {
    TempTree tree;
    tree.link("/venv/bin/python", "/bin/sleep");
    Child child({tree.path("/venv/bin/python"), "1000"});
    Result<ProcessDir> dir = ProcessDir::open(child.pid());
    ASSERT_TRUE(dir.ok());
    EXPECT_EQ(dir->exec_pathname(), tree.path("/venv/bin/python"));
}

}  // namespace
}  // namespace callgate
