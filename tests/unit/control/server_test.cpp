#include "control/server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "../session/temp_tree.h"
#include "base/fd.h"
#include "control/address.h"
#include "control/connection.h"

namespace callgate {
namespace {

using nlohmann::json;

json answer(const json& request) {
    if (request["verb"] == "big") return std::string(8 << 20, 'x');
    if (request["verb"] == "broken") return request.at("absent");  // throws
    if (request["verb"] == "bytes") return "\xff";
    return json{{"echo", request}};
}

class ControlTest : public ::testing::Test {
  protected:
    void SetUp() override {
        auto server = ControlServer::start(path(), {"status", "big", "broken", "bytes"}, answer);
        ASSERT_TRUE(server.ok()) << server.error().text();
        server_ = std::move(server).value();
    }
    std::string path() const { return tree_.path("/run/control.sock"); }
    Result<json> ask(const json& request) { return control_request(path(), request, 5000); }
    Fd connect() {
        const sockaddr_un address = control_address(path()).value();
        Fd fd = Fd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
        return fd;
    }
    static std::string exchange(const Fd& fd, const std::string& bytes) {
        EXPECT_EQ(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
        std::string text(4096, '\0');
        text.resize(static_cast<size_t>(std::max<ssize_t>(::recv(fd.get(), text.data(), text.size(), 0), 0)));
        return text;
    }

    TempTree tree_;
    std::unique_ptr<ControlServer> server_;
};

// Who may write its directory could put a socket of their own there, and answer as they like.
TEST_F(ControlTest, BelievesNobodyElse) {
    ASSERT_EQ(::geteuid(), 0u) << "run as root";
    const std::string theirs = tree_.path("/theirs");
    const sockaddr_un address = control_address(theirs).value();
    const Fd listener = Fd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    std::thread([&listener] {  // what a socket says of who listens is of the thread that began it
        ASSERT_EQ(::syscall(SYS_setresuid, 1234, 1234, 1234), 0);
        ASSERT_EQ(::listen(listener.get(), 1), 0);
    })
        .join();
    std::thread answers([&listener] {
        const Fd client = Fd::adopt(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        constexpr std::string_view kForged = "{\"ok\":true}\n";
        (void)::send(client.get(), kForged.data(), kForged.size(), MSG_NOSIGNAL);
    });
    const Result<json> result = control_request(theirs, {{"verb", "status"}}, 5000);
    answers.join();
    ASSERT_FALSE(result.ok());
    EXPECT_NE(result.error().text().find("user 1234 answers there"), std::string::npos) << result.error().text();
}

TEST_F(ControlTest, AsksAndAnswers) {
    Result<json> result = ask({{"verb", "status"}, {"x", 1}});
    ASSERT_TRUE(result.ok()) << result.error().text();
    EXPECT_EQ((*result)["echo"]["x"], 1);
    Result<json> big = ask({{"verb", "big"}});
    ASSERT_TRUE(big.ok());
    EXPECT_EQ(big->get<std::string>().size(), size_t{8} << 20);
    EXPECT_EQ(ask({{"verb", "bytes"}}).value(), "\ufffd");
}

TEST_F(ControlTest, WhoAsksIsWhatTheKernelSays) {
    const json peer = ask({{"verb", "status"}, {"peer", {{"uid", 4711}}}}).value()["echo"]["peer"];
    EXPECT_EQ(peer["uid"], getuid());
    EXPECT_EQ(peer["pid"], getpid());
    std::ifstream file("/proc/self/loginuid");
    int64_t login = -1;
    if (file >> login && login == UINT32_MAX) login = -1;
    EXPECT_EQ(peer["login_uid"], login);
}

TEST_F(ControlTest, SaysWhatIsWrong) {
    EXPECT_EQ(ask({{"verb", "nonsense"}}).error().what, "unknown verb \"nonsense\" (known: status, big, broken, bytes)");
    EXPECT_EQ(ask({{"verb", "broken"}}).error().kind, ErrorKind::refused);
    for (const std::string line : {"", "[", "[]", "{}", "{\"verb\":1}", "\xff", "{\"verb\":\"status\"} x"}) {
        EXPECT_NE(answer_control_line(line, {"status"}, answer).find("a request is one JSON object"), std::string::npos);
    }
    EXPECT_TRUE(ask({{"verb", "status"}}).ok());
}

TEST_F(ControlTest, PrivateFromTheStart) {
    struct stat status;
    ASSERT_EQ(::stat(path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    server_.reset();
    EXPECT_NE(::access(path().c_str(), F_OK), 0);
    EXPECT_EQ(ask({{"verb", "status"}}).error().code, ENOENT);
}

TEST_F(ControlTest, LiveAgentIsAnErrorStaleSocketIsReplaced) {
    EXPECT_EQ(ControlServer::start(path(), {}, answer).error().kind, ErrorKind::refused);
    const std::string stale = tree_.path("/stale.sock");
    const sockaddr_un address = control_address(stale).value();
    {
        Fd fd = Fd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        ASSERT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    }
    EXPECT_EQ(control_request(stale, {{"verb", "status"}}, 1000).error().code, ECONNREFUSED);
    auto second = ControlServer::start(stale, {"status"}, answer);
    ASSERT_TRUE(second.ok()) << second.error().text();
    EXPECT_TRUE(control_request(stale, {{"verb", "status"}}, 5000).ok());
    tree_.file("/file");
    EXPECT_EQ(ControlServer::start(tree_.path("/file"), {}, answer).error().kind, ErrorKind::refused);
    EXPECT_FALSE(ControlServer::start(std::string(200, 'x'), {}, answer).ok());
}

TEST_F(ControlTest, RequestsInPiecesAndSeveralOnOneConnection) {
    Fd fd = connect();
    ::send(fd.get(), "{\"ver", 5, MSG_NOSIGNAL);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_NE(exchange(fd, "b\":\"status\"}\n").find("\"ok\":true"), std::string::npos);
    EXPECT_NE(exchange(fd, "{\"verb\":\"status\"}\n").find("\"ok\":true"), std::string::npos);
}

TEST_F(ControlTest, TwoRequestsInOneWriteAreBothAnswered) {
    Fd fd = connect();
    std::string text = exchange(fd, "{\"verb\":\"status\"}\n{\"verb\":\"status\"}\n");
    while (std::count(text.begin(), text.end(), '\n') < 2) {
        char more[4096];
        const ssize_t got = ::recv(fd.get(), more, sizeof(more), 0);
        ASSERT_GT(got, 0);
        text.append(more, static_cast<size_t>(got));
    }
}

TEST_F(ControlTest, HostileClientsDoNotBlockOthers) {
    // Idle ones, one that never ends its line, one that does not take its answer.
    std::vector<Fd> idle;
    for (size_t i = 0; i < kControlClientsMax - 3; ++i) idle.push_back(connect());
    Fd partial = connect();
    ::send(partial.get(), "{", 1, MSG_NOSIGNAL);
    Fd deaf = connect();
    ::send(deaf.get(), "{\"verb\":\"big\"}\n", 15, MSG_NOSIGNAL);
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(ask({{"verb", "status"}}).ok());
}

TEST_F(ControlTest, TooLongARequestIsCutOff) {
    Fd fd = connect();
    const std::string flood(2 * kControlRequestBytesMax, 'x');
    std::thread sender([&] { [[maybe_unused]] ssize_t sent = ::send(fd.get(), flood.data(), flood.size(), MSG_NOSIGNAL); });
    std::string text(4096, '\0');
    const ssize_t got = ::recv(fd.get(), text.data(), text.size(), 0);
    sender.join();
    ASSERT_GT(got, 0);
    EXPECT_NE(text.find("longer than 65536 bytes"), std::string::npos);
    EXPECT_TRUE(ask({{"verb", "status"}}).ok());
}

TEST_F(ControlTest, OtherUsersAreCutOff) {
    ASSERT_EQ(::geteuid(), 0u) << "needs root to become another user";
    ::chmod(tree_.root().c_str(), 0755);
    ::chmod(path().c_str(), 0666);  // as if the mode alone did not protect it
    const pid_t pid = fork();
    if (pid == 0) {
        if (::setresuid(65534, 65534, 65534) != 0) _exit(2);
        Result<json> result = control_request(path(), {{"verb", "status"}}, 5000);
        _exit(!result.ok() && result.error().what.starts_with("not permitted") ? 0 : 1);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(ControlClient, GivesUpInTime) {
    TempTree tree;
    const std::string path = tree.path("/silent.sock");
    const sockaddr_un address = control_address(path).value();
    Fd fd = Fd::adopt(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    ASSERT_EQ(::listen(fd.get(), 1), 0);
    EXPECT_EQ(control_request(path, {{"verb", "status"}}, 100).error().kind, ErrorKind::limit);
}

}  // namespace
}  // namespace callgate
