#include "kernel/scope.h"

#include <algorithm>

#include "child.h"

namespace callgate {
namespace {

bool has(const std::vector<pid_t>& pids, pid_t pid) { return std::find(pids.begin(), pids.end(), pid) != pids.end(); }

TEST(Scope, DescendantsOfARoot) {
    Ends pipe = make_pipe();
    Child first([&] {
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            // Only now may its parent end: it would outlive it otherwise.
            pid_t self = getpid();
            (void)!write(pipe.write.get(), &self, sizeof(self));
        }
        pause();
    });
    Child second;
    pid_t grandchild = 0;
    ASSERT_EQ(read(pipe.read.get(), &grandchild, sizeof(grandchild)), ssize_t(sizeof(grandchild)));
    EXPECT_EQ(descendants_of({first.pid()}), (std::unordered_set<pid_t>{first.pid(), grandchild}));
    EXPECT_TRUE(descendants_of({getpid()}).count(second.pid()));
    EXPECT_TRUE(descendants_of({}).empty());
}

TEST(Scope, TheAgentItselfIsNeverInScope) {
    Child child;
    Scope scope;
    scope.trees = {getpid()};
    auto found = processes_in_scope(scope);
    EXPECT_TRUE(has(found, child.pid()));
    EXPECT_FALSE(has(found, getpid()));
    EXPECT_FALSE(has(found, getppid()));
}

TEST(Scope, UsersNarrowTrees) {
    Child child;
    Scope scope;
    scope.trees = {child.pid()};
    scope.users = {getuid()};
    EXPECT_TRUE(has(processes_in_scope(scope), child.pid()));
    scope.users = {getuid() + 1};
    EXPECT_FALSE(has(processes_in_scope(scope), child.pid()));
    EXPECT_TRUE(has(processes_in_scope({}), child.pid()));
}

}  // namespace
}  // namespace callgate
