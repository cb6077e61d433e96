// Gates and sessions that go on in another agent: left, written, read, and restored.
#pragma once
#include "http_fixture.h"
#include "restart/http_state.h"

namespace callgate {

// All wires of a world at once, as a restart does it.
inline void hand_over(HttpWorld& world, const std::vector<HttpWire*>& wires) {
    std::vector<HttpSessions::Pointer> ended;
    for (const HttpWire* wire : wires)
        if (auto session = wire->gate->session(); session && session->ended) ended.push_back(session);
    std::vector<nlohmann::json> states;
    std::vector<std::shared_ptr<const Policy>> policies;
    for (HttpWire* wire : wires) {
        SavedHttpConnection saved;
        saved.facts = wire->gate->facts();
        saved.gate = wire->gate->leave();
        states.push_back(nlohmann::json::from_cbor(nlohmann::json::to_cbor(to_json(saved))));
    }
    const nlohmann::json sessions = nlohmann::json::from_cbor(nlohmann::json::to_cbor(to_json(world.sessions->leave(ended))));
    ended.clear();
    for (HttpWire* wire : wires) wire->gate.reset();
    world.sessions = std::make_unique<HttpSessions>(world.log(), world.grants, world.pins);
    auto read = http_sessions_from(sessions);
    ASSERT_TRUE(read.ok()) << read.error().text();
    EXPECT_EQ(to_json(read.value()), sessions);
    const auto policy_of = [&](ServerIdentity&, const std::string&) { return world.policy; };
    world.sessions->restore(std::move(read).value(), policy_of, world.counters());
    for (size_t i = 0; i < wires.size(); ++i) {
        auto connection = http_connection_from(states[i]);
        ASSERT_TRUE(connection.ok()) << connection.error().text();
        EXPECT_EQ(to_json(connection.value()), states[i]);
        wires[i]->open(world, connection.value().facts);
        ASSERT_TRUE(wires[i]->gate->restore(std::move(*connection.value().gate))) << states[i].dump();
    }
    world.sessions->all_restored();
    for (HttpWire* wire : wires)
        for (size_t i = 0; i < wire->gate->held_read_ns().size(); ++i) wire->gate->wait_again(i);
}

}  // namespace callgate
