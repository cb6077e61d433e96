// I1: whatever a client claims to speak first, the bytes of an MCP call are judged.
#include "enforce/opening.h"

#include <gtest/gtest.h>

#include <chrono>

#include "../../slowness.h"
#include "../../thread_time.h"
#include "base/limits.h"

namespace callgate {
namespace {

using Start = Opening::Start;
enum class Sure { yes, no };

const std::string kCall = R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"rm","arguments":{}}})"
                          "\n";
const std::string kAcp = R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":1}})"
                         "\n";
const std::string kCodex = R"({"id":0,"method":"initialize","params":{"clientInfo":{"name":"x","version":"1"}}})"
                           "\n";
const std::string kLspBody = R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"processId":1,"rootUri":null}})";

std::string headed(const std::string& body) { return "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body; }

std::shared_ptr<const Policy> no_rules() {
    static std::vector<PolicyProblem> problems;
    static const std::shared_ptr<const Policy> policy = Policy::load(R"({"version":"1","default":"deny"})", "p.json", problems);
    return policy;
}

struct Outcome {
    std::string pass, judge;
    bool decided = false, foreign = false;
};

Outcome run(std::string_view bytes, size_t chunk, Start start = Start::fresh, Sure sure = Sure::yes, bool finish = false) {
    Opening opening(start, sure == Sure::yes, kFrameBytesDefault, no_rules());
    Outcome out;
    size_t at = 0;
    while (at < bytes.size() && !opening.decided()) {
        size_t length = std::min(chunk, bytes.size() - at);
        opening.feed(bytes.substr(at, length), out.pass, out.judge);
        at += length;
    }
    out.judge.append(bytes.substr(at));
    if (finish && !opening.decided()) opening.finish(out.pass, out.judge);
    out.decided = opening.decided();
    out.foreign = opening.is_foreign();
    return out;
}

constexpr size_t kChunks[] = {1, 3, 7, size_t{1} << 30};

// `call` begins at the first byte that must not pass.
void expect_judged_from(const std::string& before, const std::string& call, Sure sure, bool finish = false) {
    for (size_t chunk : kChunks) {
        Outcome out = run(before + call, chunk, Start::fresh, sure, finish);
        EXPECT_TRUE(out.decided) << before << call << " in chunks of " << chunk;
        EXPECT_LE(out.pass.size(), before.size()) << out.pass << " in chunks of " << chunk;
        EXPECT_EQ(out.pass + out.judge, before + call) << chunk;
    }
}

void expect_passes(const std::string& bytes, Sure sure = Sure::yes) {
    for (size_t chunk : kChunks) {
        Outcome out = run(bytes, chunk, Start::fresh, sure);
        EXPECT_FALSE(out.decided) << bytes << " in chunks of " << chunk;
        EXPECT_EQ(out.pass, bytes) << chunk;
        EXPECT_EQ(out.judge, "");
    }
}

TEST(Opening, McpIsJudgedFromItsFirstByte) {
    for (Sure sure : {Sure::yes, Sure::no}) expect_judged_from("", kCall, sure);
}

TEST(Opening, DecidedFromTheStart) {
    Outcome out = run("anything", 3, Start::decided);
    EXPECT_TRUE(out.decided);
    EXPECT_EQ(out.judge, "anything");
}

TEST(Opening, BannerPassesAtOnce) {
    Opening opening(Start::fresh, true, kFrameBytesDefault, no_rules());
    std::string pass, judge;
    opening.feed("password: ", pass, judge);
    EXPECT_EQ(pass, "password: ");
    opening.feed("hello\n", pass, judge);
    EXPECT_EQ(pass, "password: hello\n");
    EXPECT_FALSE(opening.decided());
    EXPECT_FALSE(opening.is_foreign());
    opening.feed(kCall, pass, judge);
    EXPECT_EQ(judge, kCall);
}

TEST(Opening, JsonLikeFirstLineIsJudgedWhereTheServerIsCertain) {
    expect_judged_from("", "{\"hello\":1,\n", Sure::yes);
    expect_passes("{\"hello\":1,\n", Sure::no);
}

TEST(Opening, LookAlikesPassWhole) {
    for (Sure sure : {Sure::yes, Sure::no}) {
        expect_passes(kAcp, sure);
        expect_passes(kCodex, sure);
        expect_passes(headed(kLspBody), sure);
        expect_passes(headed(kLspBody) + headed(R"({"jsonrpc":"2.0","method":"initialized","params":{}})"), sure);
    }
    EXPECT_TRUE(run(kAcp, 3).foreign);
    EXPECT_TRUE(run(headed(kLspBody), 3).foreign);
}

TEST(Opening, HeadedMessageSplitAtEveryByte) {
    const std::string bytes = headed(kLspBody) + headed(kLspBody);
    for (size_t split = 0; split <= bytes.size(); ++split) {
        Opening opening(Start::fresh, true, kFrameBytesDefault, no_rules());
        std::string pass, judge;
        opening.feed(std::string_view(bytes).substr(0, split), pass, judge);
        opening.feed(std::string_view(bytes).substr(split), pass, judge);
        EXPECT_EQ(pass, bytes) << split;
        EXPECT_FALSE(opening.decided());
    }
}

TEST(Opening, ClaimingAnotherProtocolGainsNothing) {
    for (Sure sure : {Sure::yes, Sure::no}) {
        expect_judged_from(kAcp, kCall, sure);
        expect_judged_from(kCodex, kCall, sure);
        expect_judged_from(headed(kLspBody), kCall, sure);
        expect_judged_from(headed(kLspBody), headed(kCall), sure);
        expect_judged_from("Content-Length: 5\r\n\r\n", kCall, sure);
        expect_judged_from("Content-Length: 2\r\n\r\n{}\n", kCall, sure);
    }
}

TEST(Opening, CallsBetweenHeaderLines) {
    for (Sure sure : {Sure::yes, Sure::no}) {
        expect_judged_from("Content-Length: 2\r\n", kCall + "\r\n{}", sure);
        expect_judged_from("Content-Length: 2\n\n", kCall + "\r\n\r\n{}", sure);
        expect_judged_from("Content-Length: 2\r\nContent-Type: x\r\n", kCall + "\r\n\r\n{}", sure);
        expect_judged_from("Content-Length: 2\r\nX: y\r", "\n" + kCall + "\r\n{}", sure);
    }
}

TEST(Opening, BodyThatIsTheHeadOfACall) {
    const std::string rest = R"(Content-Length: 1","jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"rm"}})";
    for (Sure sure : {Sure::yes, Sure::no})
        expect_judged_from("Content-Length: 6\r\n\r\n", R"({"x":")" + rest + "\r\n\r\nZ", sure);
}

TEST(Opening, MalformedCallAfterAClaim) {
    const std::string twice = R"({"jsonrpc":"2.0","id":1,"method":"foo","method":"tools/call","params":{"name":"rm"}})"
                              "\n";
    const std::string folded = R"({"jsonrpc":"2.0","id":1,"Method":"tools/call","params":{"name":"rm"}})"
                               "\n";
    const std::string escaped = R"({"jsonrpc":"2.0","id":1,"id":1,"m\u0065thod":"tools/call","params":{"name":"rm"}})"
                                "\n";
    const std::string carriage = "x\r" + kCall;
    const std::string batch = "[" + kCall.substr(0, kCall.size() - 1) + "]\n";
    const std::string listed = R"({"jsonrpc":"2.0","params":[],"id":1,"method":"foo","method":"tools/call"})"
                               "\n";
    for (Sure sure : {Sure::yes, Sure::no})
        for (const std::string& claim : {std::string(), kAcp, kCodex})
            for (const std::string& call : {twice, folded, escaped, batch, listed}) expect_judged_from(claim, call, sure);
    for (Sure sure : {Sure::yes, Sure::no}) expect_judged_from(kAcp + "x\r", carriage.substr(2), sure);
}

// A server that reads lines does not care for the length in a header.
TEST(Opening, CallOnALineOfABody) {
    const std::string id(300, 'A');  // too long for an id, so that the line is none that can be read alike
    const std::string refused = R"({"jsonrpc":"2.0","id":")" + id + R"(","method":"tools/call","params":{"name":"rm"}})";
    const std::string fraction = R"({"jsonrpc":"2.0","id":1.0,"method":"tools/call","params":{"name":"rm"}})";
    const std::string folded = R"({"jsonrpc":"2.0","id":1,"Method":"tools/call","params":{"name":"rm"}})";
    const std::string plain = kCall.substr(0, kCall.size() - 1);
    for (Sure sure : {Sure::yes, Sure::no})
        for (const char* end : {"\n", "\r", "\r\n"})
            for (const std::string& call : {refused, fraction, folded, plain}) {
                const std::string body = R"({"jsonrpc":"2.0","method":"x","params":{"a":)" + (end + call + end) + "}}";
                const std::string header = headed(body).substr(0, headed(body).size() - body.size());
                expect_judged_from(header, body, sure);
                expect_judged_from(headed(kLspBody) + header, body, sure);
            }
}

// .NET takes UTF-16 from its standard input where a byte order mark says so.
TEST(Opening, CallsInWideCharacters) {
    for (Sure sure : {Sure::yes, Sure::no})
        for (const size_t width : {size_t{2}, size_t{4}})
            for (const bool is_little : {true, false}) {
                std::string wide;
                for (const char c : kCall)
                    wide += is_little ? c + std::string(width - 1, '\0') : std::string(width - 1, '\0') + c;
                for (const std::string& mark : {std::string(), std::string(is_little ? "\xff\xfe" : "\xfe\xff")}) {
                    for (size_t chunk : kChunks) {
                        Outcome out = run(mark + wide, chunk, Start::fresh, sure);
                        EXPECT_TRUE(out.decided) << width << is_little << " in chunks of " << chunk;
                        EXPECT_LE(out.pass.size(), mark.size() + width);
                    }
                }
            }
}

// Longer than what a perhaps-not-MCP program is kept waiting for.
TEST(Opening, LongCallIsHeldToItsEnd) {
    const std::string pad(size_t{3} << 19, 'x');
    const std::string call = R"({"_":")" + pad +
                             R"(","jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"rm"}})"
                             "\n";
    for (const std::string& before : {std::string(), kAcp, std::string("\r"), std::string("x\r")}) {
        Outcome out = run(before + call, 65536, Start::fresh, Sure::no);
        EXPECT_TRUE(out.decided);
        EXPECT_LE(out.pass.size(), before.size());
        EXPECT_EQ(out.pass.size() + out.judge.size(), before.size() + call.size());
    }
    const std::string text = "log " + pad + "{" + pad;
    EXPECT_EQ(run(text, 65536, Start::fresh, Sure::no).pass.size(), text.size());
}

TEST(Opening, LongCallBehindWhatHasPassedIsHeldToItsEnd) {
    const std::string pad(size_t{3} << 19, 'x');
    const std::string call = R"({"_":")" + pad +
                             R"(","jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"rm"}})"
                             "\n";
    const std::string junk(size_t{1} << 13, 'x');
    for (const auto& [passed, held] :
         {std::pair<std::vector<std::string>, std::string>{{" "}, ""}, {{"x"}, "{\r"}, {{junk, "\r"}, ""}}) {
        Opening opening(Start::fresh, false, kFrameBytesDefault, no_rules());
        std::string pass, judge, before;
        for (const std::string& piece : passed) opening.feed(piece, pass, judge), before += piece;
        EXPECT_EQ(pass, before);
        opening.feed(held, pass, judge);
        for (size_t at = 0; at < call.size() && !opening.decided(); at += kReadBytes)
            opening.feed(std::string_view(call).substr(at, kReadBytes), pass, judge);
        EXPECT_TRUE(opening.decided()) << before.size() << held;
        EXPECT_EQ(pass, before) << held;
    }
}

TEST(Opening, EndOfFileInTheMiddle) {
    const std::string unterminated = kCall.substr(0, kCall.size() - 1);
    for (Sure sure : {Sure::yes, Sure::no}) {
        for (const std::string& claim : {std::string(), kAcp, headed(kLspBody)})
            expect_judged_from(claim, unterminated, sure, true);
        expect_judged_from("Content-Length: 1000\r\n\r\n", kCall, sure, true);
    }
    for (size_t chunk : kChunks) {
        EXPECT_EQ(run("login: me", chunk, Start::fresh, Sure::yes, true).pass, "login: me");
        Outcome cut = run("Content-Length: 1000\r\n\r\nabc", chunk, Start::fresh, Sure::no, true);
        EXPECT_EQ(cut.pass + cut.judge, "Content-Length: 1000\r\n\r\nabc") << chunk;
    }
}

TEST(Opening, MidwayTailPassesToItsEnd) {
    const std::string tail = "hod\":\"tools/call\",\"params\":{\"name\":\"a\"}}\n";
    for (size_t chunk : kChunks) {
        Outcome out = run(tail + kCall, chunk, Start::midway);
        EXPECT_EQ(out.pass, tail) << chunk;
        EXPECT_EQ(out.judge, kCall) << chunk;
    }
    EXPECT_EQ(run(kCall, 3, Start::midway).judge, kCall);
}

// Some clients write a message and the end of its line one after the other, and we may come between the two.
TEST(Opening, MidwayTheEndOfALineAlonePasses) {
    for (const std::string tail : {"\n", "\r\n", " \n"})
        for (size_t chunk : kChunks) {
            Outcome out = run(tail + kCall, chunk, Start::midway);
            EXPECT_EQ(out.pass, tail) << chunk;
            EXPECT_EQ(out.judge, kCall) << chunk;
            Outcome alone = run(tail, chunk, Start::midway);
            EXPECT_EQ(alone.pass, tail) << chunk;
            EXPECT_EQ(alone.judge, "") << chunk;
        }
}

// rmcp strips a byte order mark, Kotlin's parser what comes before the first brace.
TEST(Opening, MidwayAMessageBehindSomethingElseIsNoTail) {
    for (const std::string before : {"\xef\xbb\xbf", "x", "x y "})
        for (size_t chunk : kChunks) {
            Outcome out = run(before + kCall, chunk, Start::midway);
            EXPECT_EQ(out.pass, before) << chunk;
            EXPECT_EQ(out.judge, kCall) << chunk;
            Outcome cut = run(before + kCall.substr(0, kCall.size() - 1), chunk, Start::midway, Sure::yes, true);
            EXPECT_EQ(cut.pass, before) << chunk;
            EXPECT_TRUE(cut.decided) << chunk;
        }
}

TEST(Opening, MidwayACarriageReturnEndsTheTail) {
    for (size_t chunk : kChunks) {
        Outcome out = run("x\r" + kCall, chunk, Start::midway);
        EXPECT_EQ(out.pass, "x\r") << chunk;
        EXPECT_EQ(out.judge, kCall) << chunk;
        EXPECT_EQ(run("x\r\n" + kCall, chunk, Start::midway).pass, "x\r\n") << chunk;
        EXPECT_EQ(run("x\r", chunk, Start::midway, Sure::yes, true).pass, "x\r") << chunk;
    }
}

// A client that begins with nothing but ends of lines takes a thread's time that all sessions share: each byte costs the same.
TEST(Opening, LinesOfNothingCostWhatTheyAreLong) {
    const std::string lines(size_t{16} * kReadBytes, '\n');
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(run(lines, kReadBytes).pass, lines);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5 * kSlowness));
}

TEST(Opening, ChunksDoNotMatter) {
    for (const std::string& bytes :
         {"banner\n" + kCall, "banner {x\n" + kCall, "\n\n" + kCall, kAcp + "text\n" + kCall, headed(kLspBody) + "junk\n" + kCall,
          "Content-Type: a\r\n\r\n" + kCall, "Content-Length: x\r\n\r\n" + kCall})
        for (Sure sure : {Sure::yes, Sure::no})
            for (size_t chunk : kChunks) {
                Outcome out = run(bytes, chunk, Start::fresh, sure);
                EXPECT_TRUE(out.decided) << bytes;
                EXPECT_EQ(out.pass + out.judge, bytes) << chunk;
                EXPECT_NE(out.judge.find(kCall), std::string::npos) << bytes;
            }
}

TEST(Opening, MidwayBlanksCostWhatTheyAreLong) {
    Opening opening(Start::midway, true, kFrameBytesDefault, no_rules());
    std::string pass, judge;
    const std::string blanks(kReadBytes, ' ');
    const auto start = std::chrono::steady_clock::now();
    for (size_t bytes = 0; bytes + kReadBytes < kFrameBytesDefault; bytes += kReadBytes) opening.feed(blanks, pass, judge);
    for (int i = 0; i < 1000; ++i) opening.feed(" ", pass, judge);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5 * kSlowness));
    EXPECT_FALSE(opening.decided());
}

// What has come of a line is not gone through again for each byte that follows.
TEST(Opening, AnUnfinishedLineCostsWhatItIsLong) {
    const std::string pad(kReadBytes, 'x');
    for (const Sure sure : {Sure::yes, Sure::no}) {
        Opening opening(Start::fresh, sure == Sure::yes, kFrameBytesDefault, no_rules());
        std::string pass, judge;
        opening.feed("x{", pass, judge);
        const auto whole = thread_time([&] {
            for (size_t bytes = 0; bytes < (sure == Sure::yes ? size_t{5} << 20 : size_t{15} << 16); bytes += kReadBytes)
                opening.feed(pad, pass, judge);
        });
        if (sure == Sure::no) opening.feed("\r", pass, judge);  // what follows may be a message
        const auto single = thread_time([&] {
            for (int i = 0; i < 1000; ++i) opening.feed("x", pass, judge);
        });
        EXPECT_LT(single, whole) << (sure == Sure::yes);
        EXPECT_EQ(pass + judge, "");
    }
}

bool confirms(const std::string& client, const std::string& server) {
    Opening opening(Start::fresh, true, kFrameBytesDefault, no_rules());
    std::string pass, judge;
    opening.feed(client, pass, judge);
    return opening.server_confirms(server);
}

TEST(Opening, OnlyTheServersOwnAnswerConfirms) {
    EXPECT_TRUE(confirms(kAcp, R"({"jsonrpc":"2.0","id":0,"result":{"protocolVersion":1}})"
                               "\n"));
    EXPECT_TRUE(confirms(kAcp, R"({"jsonrpc":"2.0","id":0,"result":{"protocolVersion": 1}})"
                               "\n"));
    EXPECT_FALSE(confirms(kAcp, R"({"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18"}})"
                                "\n"));
    EXPECT_FALSE(confirms(kAcp, R"({"jsonrpc":"2.0","id":0,"error":{"code":-32602,"message":"x"}})"
                                "\n"));
    EXPECT_FALSE(confirms(kAcp, "starting\n"));
    EXPECT_TRUE(confirms(kCodex, R"({"id":0,"result":{}})"
                                 "\n"));
    EXPECT_TRUE(confirms(headed(kLspBody), "Content-Length: 2\r\n"));
    EXPECT_FALSE(confirms(headed(kLspBody), R"({"jsonrpc":"2.0","id":0,"result":{}})"
                                            "\n"));
    EXPECT_FALSE(confirms("banner\n", "Content-Length: 2\r\n"));
    EXPECT_FALSE(confirms(kCall, R"({"id":0,"result":{}})"
                                 "\n"));
}

TEST(Opening, OnlyTheAnswerToAnotherProtocolsCallConfirms) {
    const std::string answer = R"({"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25"}})"
                               "\n";
    const std::string call = R"({"jsonrpc":"2.0","id":1,"method":"x/y"})"
                             "\n";
    const std::string notification = R"({"jsonrpc":"2.0","method":"x/y"})"
                                     "\n";
    const std::string other_call = R"({"jsonrpc":"2.0","id":2,"method":"x/y"})"
                                   "\n";
    const std::string initialize = R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{}}})"
                                   "\n";
    EXPECT_TRUE(confirms(call, answer));
    EXPECT_FALSE(confirms(notification + initialize, answer));
    EXPECT_FALSE(confirms(other_call + initialize, answer));
}

}  // namespace
}  // namespace callgate
