// Deliveries to a server on loopback: signed, tried again, given up, bounded, and never waited for.
#include "approval/webhook.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <future>

#include "../session/temp_tree.h"
#include "approval/webhook_secret.h"
#include "base/fd.h"

namespace callgate {
namespace {

using ::testing::HasSubstr;

// Answers each connection's one request with the next status of its list, the last one for ever.
class Receiver {
  public:
    explicit Receiver(std::vector<int> statuses) : statuses_(std::move(statuses)) {
        listener_ = Fd::adopt(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(listen(listener_.get(), 16), 0);
        socklen_t size = sizeof address;
        getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
        port_ = ntohs(address.sin_port);
    }
    std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/hook"; }
    // The next request, whole; "" where none comes.
    std::string take() {
        pollfd waits{listener_.get(), POLLIN, 0};
        if (poll(&waits, 1, 20000) != 1) return "";
        const Fd client = Fd::adopt(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        std::string request;
        char bytes[4096];
        for (size_t whole = std::string::npos; request.size() < whole;) {
            const ssize_t got = read(client.get(), bytes, sizeof bytes);
            if (got <= 0) break;
            request.append(bytes, static_cast<size_t>(got));
            const size_t end = request.find("\r\n\r\n"), length = request.find("Content-Length: ");
            if (end != request.npos && length != request.npos) whole = end + 4 + std::stoul(request.substr(length + 16));
        }
        const int status = statuses_[std::min(answered_++, statuses_.size() - 1)];
        const std::string answer = "HTTP/1.1 " + std::to_string(status) +
                                   " x\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        (void)!write(client.get(), answer.data(), answer.size());
        return request;
    }

  private:
    Fd listener_;
    uint16_t port_ = 0;
    std::vector<int> statuses_;
    size_t answered_ = 0;
};

std::string field(const std::string& request, const std::string& name) {
    const size_t at = request.find("\r\n" + name + ": ");
    if (at == request.npos) return "";
    const size_t begin = at + name.size() + 4;
    return request.substr(begin, request.find("\r\n", begin) - begin);
}

Webhook::Options options(std::function<void(const Webhook::Failure&)> failed = {}) {
    Webhook::Options made;
    made.secret = "a secret of sixteen";
    made.failed = std::move(failed);
    made.first_pause_ms = 1;
    return made;
}

TEST(WebhookSignature, IsHmacSha256OverTimeAndBody) {
    // As Python's hmac computes it.
    EXPECT_EQ(webhook_signature("0123456789abcdef", 1700000000, "{\"a\":1}"),
              "t=1700000000,v1=9eb18f493f8ec135d9eb2dad817c369bb4e9cbfa818657897a7437c1cd8c3a23");
}

TEST(WebhookTest, IsSignedAndDelivered) {
    Receiver receiver({204});
    auto webhook = std::move(Webhook::start(options())).value();
    ASSERT_TRUE(webhook->post(receiver.url(), "approval_requested", R"({"x":1})"));
    const std::string request = receiver.take();
    EXPECT_TRUE(request.starts_with("POST /hook HTTP/1.1\r\n")) << request;
    EXPECT_TRUE(request.ends_with("\r\n\r\n{\"x\":1}"));
    EXPECT_EQ(field(request, "Content-Type"), "application/json");
    EXPECT_EQ(field(request, "X-Callgate-Event"), "approval_requested");
    EXPECT_EQ(field(request, "X-Callgate-Delivery").size(), 32u);
    const std::string signature = field(request, "X-Callgate-Signature");
    ASSERT_TRUE(signature.starts_with("t="));
    EXPECT_EQ(signature, webhook_signature("a secret of sixteen", std::stoll(signature.substr(2)), R"({"x":1})"));
    while (webhook->figures().delivered == 0) std::this_thread::yield();
    EXPECT_EQ(webhook->figures().failed, 0u);
}

TEST(WebhookTest, IsTriedAgainUnderTheSameName) {
    Receiver receiver({500, 302, 200});
    auto webhook = std::move(Webhook::start(options())).value();
    webhook->post(receiver.url(), "e", "{}");
    const std::string first = receiver.take(), second = receiver.take(), third = receiver.take();
    EXPECT_EQ(field(first, "X-Callgate-Delivery"), field(third, "X-Callgate-Delivery"));
    EXPECT_NE(second, "");
    while (webhook->figures().delivered == 0) std::this_thread::yield();
    EXPECT_EQ(webhook->figures().retried, 2u);
    EXPECT_EQ(webhook->figures().last_error, "answered with status 302");
}

TEST(WebhookTest, IsGivenUpAndTold) {
    Receiver receiver({503});
    std::promise<Webhook::Failure> failed;
    auto webhook =
        std::move(Webhook::start(options([&](const Webhook::Failure& failure) { failed.set_value(failure); }))).value();
    webhook->post(receiver.url(), "e", "{}");
    for (int i = 0; i < Webhook::kAttemptsMax; ++i) EXPECT_NE(receiver.take(), "");
    const Webhook::Failure failure = failed.get_future().get();
    EXPECT_EQ(failure.attempts, Webhook::kAttemptsMax);
    EXPECT_EQ(failure.reason, "answered with status 503");
    EXPECT_EQ(webhook->figures().failed, 1u);
    EXPECT_EQ(webhook->figures().waiting, 0u);
}

// Nobody answers: the caller is not held up, the queue ends somewhere, and an agent that stops does not wait.
TEST(WebhookTest, WhatIsAbandonedIsTold) {
    Receiver receiver({503});
    std::vector<std::string> told;
    Webhook::Options made =
        options([&](const Webhook::Failure& failure) { told.push_back(failure.event + ": " + failure.reason); });
    made.first_pause_ms = 1'000'000;
    auto webhook = std::move(Webhook::start(std::move(made))).value();
    ASSERT_TRUE(webhook->post(receiver.url(), "tried", "{}"));
    receiver.take();
    while (webhook->figures().retried == 0) std::this_thread::yield();
    ASSERT_TRUE(webhook->post(receiver.url(), "under way", "{}"));  // nobody accepts it
    while (webhook->figures().waiting != 1) std::this_thread::yield();
    webhook->abandon();
    EXPECT_THAT(told, ::testing::ElementsAre("under way: the agent ended before it was delivered",
                                             "tried: the agent ended before it was delivered"));
    EXPECT_FALSE(webhook->post(receiver.url(), "late", "{}"));
    webhook.reset();
    EXPECT_EQ(told.size(), 2u);
}

TEST(WebhookTest, IsBoundedAndNeverWaitedFor) {
    Receiver silent({200});
    std::atomic<int> dropped = 0;
    auto webhook = std::move(Webhook::start(options([&](const Webhook::Failure&) { ++dropped; }))).value();
    for (size_t i = 0; i < Webhook::kQueueMax + 10; ++i) webhook->post(silent.url(), "e", "{}");
    EXPECT_GE(dropped, 9);
    EXPECT_LE(webhook->figures().waiting, Webhook::kQueueMax);
    const auto begin = std::chrono::steady_clock::now();
    webhook.reset();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(Webhook::kAttemptSeconds - 2));
}

class WebhookSecret : public ::testing::Test {
  protected:
    std::string read(const std::string& text, mode_t mode = 0600) {
        tree.file("/secret", text);
        chmod(tree.path("/secret").c_str(), mode);
        const auto secret = read_webhook_secret(tree.path("/secret"), false);
        return secret ? secret.value() : "error: " + secret.error().text();
    }
    TempTree tree;
};

TEST_F(WebhookSecret, IsTheFileWithoutItsLineEnd) {
    EXPECT_EQ(read("0123456789abcdef\r\n"), "0123456789abcdef");
    EXPECT_EQ(read(std::string(4096, 'x')), std::string(4096, 'x'));
    EXPECT_THAT(read("short"), HasSubstr("16 to 4096 bytes"));
    EXPECT_THAT(read(std::string(4097, 'x')), HasSubstr("16 to 4096 bytes"));
    EXPECT_THAT(read("0123456789abcdef", 0640), HasSubstr("chmod 0600"));
    EXPECT_THAT(read_webhook_secret(tree.path("/absent"), false).error().text(), HasSubstr("No such file"));
}

TEST_F(WebhookSecret, IsMadeWhereThereIsNone) {
    const auto first = read_webhook_secret(tree.path("/made"), true), second = read_webhook_secret(tree.path("/made"), true);
    ASSERT_TRUE(first && second);
    EXPECT_EQ(first.value().size(), 64u);
    EXPECT_EQ(first.value(), second.value());
    struct stat status;
    ASSERT_EQ(::stat(tree.path("/made").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
}

}  // namespace
}  // namespace callgate
