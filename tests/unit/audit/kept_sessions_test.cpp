#include "audit/kept_sessions.h"

#include <gtest/gtest.h>

namespace callgate {
namespace {

TEST(KeptSessions, AnotherFindsWhatOneAdded) {
    std::vector<std::byte> memory(4096);
    KeptSessions kept{std::span<std::byte>(memory)};
    const AuditSession session(",\"session\":\"01J\",\"transport\":\"stdio\"", ",\"policy\":\"p\"");
    EXPECT_EQ(kept.add(session), 0u);  // others' may be in it
    kept.begin();
    const uint32_t place = kept.add(session);
    ASSERT_NE(place, 0u);
    const KeptSessions other{std::span<std::byte>(memory)};
    const auto found = other.find(place);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->name_members(), session.name_members());
    EXPECT_EQ(found->fact_members(), session.fact_members());
    EXPECT_EQ(found->id(), "01J");
    EXPECT_FALSE(other.find(0));
    EXPECT_FALSE(other.find(1 << 20));
}

TEST(KeptSessions, RoomComesBack) {
    std::vector<std::byte> memory(4096);
    KeptSessions kept{std::span<std::byte>(memory)};
    kept.begin();
    const AuditSession session(std::string(500, 'a'), std::string(500, 'b'));
    std::vector<uint32_t> places;
    while (const uint32_t place = kept.add(session)) places.push_back(place);
    EXPECT_EQ(places.size(), 3u);  // the first unit is nobody's
    kept.remove(places[1]);
    EXPECT_EQ(kept.add(session), places[1]);
    EXPECT_EQ(kept.add(session), 0u);
}

}  // namespace
}  // namespace callgate
