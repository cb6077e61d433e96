#include "lifecycle/resumed_calls.h"

#include <gmock/gmock.h>

#include <string>

namespace callgate {
namespace {

TEST(ResumedCalls, WhoCameFirstHasTheFirstTurn) {
    std::string order;
    const auto call = [&](int64_t read_ns, char name) { return ResumedCall{read_ns, [&order, name] { order += name; }}; };
    wait_again_in_order({call(30, 'd'), call(10, 'a'), call(20, 'b'), call(20, 'c')});
    EXPECT_EQ(order, "abcd");
    wait_again_in_order({});
    EXPECT_EQ(order, "abcd");
}

}  // namespace
}  // namespace callgate
