// Who else could change what the agent keeps is found before it is used.
#include "lifecycle/state_directory.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../session/temp_tree.h"

namespace callgate {
namespace {

using ::testing::HasSubstr;

class StateDirectory : public ::testing::Test {
  protected:
    StateDirectory() { tree_.directory("/a/state"); }
    void mode(const std::string& name, mode_t mode) { ASSERT_EQ(::chmod(tree_.path(name).c_str(), mode), 0); }
    std::string problem(const std::string& name = "/a/state") {
        const Status checked = check_state_directory(tree_.path(name));
        return checked ? "" : checked.error().text();
    }
    TempTree tree_;
};

TEST_F(StateDirectory, OfItsOwnerIsGood) {
    tree_.file("/a/state/counters");
    mode("/a/state/counters", 0600);
    EXPECT_EQ(problem(), "");
    EXPECT_EQ(problem("/a/state/"), "");
    mode("/a/state", 0755);
    EXPECT_EQ(problem(), "");
    EXPECT_EQ(problem("/a/none/at/all"), "");
}

TEST_F(StateDirectory, ThatOthersCanWriteIsRefused) {
    for (mode_t bad : {0770, 0707, 0777, 01777}) {
        mode("/a/state", bad);
        EXPECT_THAT(problem(), HasSubstr("/a/state: can be written by others than its owner"));
        EXPECT_THAT(problem(), HasSubstr("chmod go-w"));
    }
}

TEST_F(StateDirectory, AndWhatIsAboveIt) {
    mode("/a", 0777);
    EXPECT_THAT(problem(), HasSubstr("/a: can be written by others"));
    EXPECT_THAT(problem("/a/none"), HasSubstr("/a: can be written by others"));
    mode("/a", 01777);
    EXPECT_EQ(problem(), "");
    tree_.link("/link", "a/state");
    mode("/a", 0777);
    EXPECT_THAT(problem("/link"), HasSubstr("/a: can be written by others"));
}

TEST_F(StateDirectory, AndWhatIsInIt) {
    tree_.file("/a/state/counters");
    mode("/a/state/counters", 0666);
    EXPECT_THAT(problem(), HasSubstr("/a/state/counters: can be written by others"));
}

TEST_F(StateDirectory, OfSomebodyElseIsRefused) {
    ASSERT_EQ(::geteuid(), 0u) << "run as root";
    ASSERT_EQ(::chown(tree_.path("/a/state").c_str(), 1234, 0), 0);
    EXPECT_THAT(problem(), HasSubstr("/a/state: belongs to user 1234"));
    ASSERT_EQ(::chown(tree_.path("/a/state").c_str(), 0, 0), 0);
    tree_.file("/a/state/state.db");
    ASSERT_EQ(::chown(tree_.path("/a/state/state.db").c_str(), 1234, 0), 0);
    EXPECT_THAT(problem(), HasSubstr("/a/state/state.db: belongs to user 1234"));
}

}  // namespace
}  // namespace callgate
