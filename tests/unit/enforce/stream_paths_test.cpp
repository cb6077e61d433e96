#include "enforce/stream_paths.h"

#include <gmock/gmock.h>

#include "base/limits.h"
#include "http_fixture.h"

namespace callgate {
namespace {

HttpFacts facts_of(pid_t pid, const std::string& listen) {
    HttpFacts facts = local_facts();
    facts.server.process.pid = pid;
    facts.listen = listen;
    return facts;
}

TEST(StreamPaths, HoldOfTheListenerAndOfTheProcess) {
    StreamPaths paths;
    const HttpFacts facts = facts_of(10, "127.0.0.1:1");
    EXPECT_FALSE(paths.takes(facts, "/m"));
    paths.begin(facts, "/m");
    EXPECT_TRUE(paths.takes(facts, "/m"));
    EXPECT_TRUE(paths.takes(facts_of(10, "[::1]:1"), "/m"));
    EXPECT_TRUE(paths.takes(facts_of(11, "127.0.0.1:1"), "/m"));  // another one that listens there
    EXPECT_FALSE(paths.takes(facts_of(11, "[::1]:1"), "/m"));
    HttpFacts later = facts_of(10, "[::1]:1");
    later.server.process.start_time = 1;  // another process
    EXPECT_FALSE(paths.takes(later, "/m"));
    paths.begin(facts_of(0, "127.0.0.1:2"), "/n");  // nobody knows which
    EXPECT_FALSE(paths.takes(facts_of(0, "127.0.0.1:3"), "/n"));
}

// Whatever lies beside and between them.
TEST(StreamPaths, HoldOfWhatLiesBelow) {
    StreamPaths paths;
    const HttpFacts facts = facts_of(10, "l");
    for (const char* path : {"/a/b", "/a/b/c/d", "/a!", "/a/b!/z", "/a/bb", "/m/e/s", "/m/e/s/s/a"}) paths.begin(facts, path);
    for (const char* below : {"/a/b", "/a/b/", "/a/b/c", "/a/b/c/e/f", "/a/b/zzz/z", "/a!/x", "/a/b!/z/x", "/a/bb/b", "/m/e/s/s",
                              "/m/e/s/s/b/c", "/A/B/x", "/x/../a/b"})
        EXPECT_TRUE(paths.takes(facts, below)) << below;
    for (const char* not_below : {"/", "/a", "/a/", "/a/c", "/a/a", "/a/bc", "/a/bbb", "/a/b!", "/a/b!/y", "/a!b", "/m/e",
                                  "/m/e/t/s", "/b", "/z/a/b", ""})
        EXPECT_FALSE(paths.takes(facts, not_below)) << not_below;
    paths.begin(facts_of(11, "k"), "/");
    EXPECT_TRUE(paths.takes(facts_of(11, "k"), "/a"));
    EXPECT_TRUE(paths.takes(facts_of(11, "k"), "/"));
    EXPECT_FALSE(paths.takes(facts, "/"));
}

TEST(StreamPaths, AreForgottenInTheirTurnWhenNobodyStreams) {
    StreamPaths paths;
    const HttpFacts facts = facts_of(10, "l");
    paths.begin(facts, "/open");
    paths.know(facts, "/known");
    for (size_t i = 0; i < kHttpStreamPathsMax; ++i) {
        paths.begin(facts, "/m" + std::to_string(i));
        paths.end(facts, "/m" + std::to_string(i));
    }
    EXPECT_TRUE(paths.takes(facts, "/open"));
    EXPECT_FALSE(paths.takes(facts, "/known"));
    EXPECT_FALSE(paths.takes(facts, "/m0"));
    EXPECT_TRUE(paths.takes(facts, "/m1"));
    EXPECT_TRUE(paths.takes(facts_of(10, "elsewhere"), "/m1"));
}

TEST(StreamPaths, GoOverToAnotherAgent) {
    StreamPaths before, after;
    const HttpFacts facts = facts_of(10, "l");
    before.begin(facts, "/streams");
    before.know(facts, "/known");
    const auto left = before.leave();
    EXPECT_THAT(left, ::testing::ElementsAre(::testing::Pair("l\n/known", ::testing::Gt(0)),
                                             ::testing::Pair("process 10 0\n/known", ::testing::Gt(0))));
    EXPECT_FALSE(before.takes(facts, "/known"));
    after.restore(left);
    EXPECT_TRUE(after.takes(facts, "/known/x"));
    EXPECT_FALSE(after.takes(facts, "/streams"));  // its session begins it again
}

}  // namespace
}  // namespace callgate
