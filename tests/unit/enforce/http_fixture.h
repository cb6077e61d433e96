// What an HttpGate needs, for real; and a script of bytes that is played to it in pieces of any size.
#pragma once
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "enforce/http_gate.h"
#include "enforce/http_sessions.h"
#include "gate_fixture.h"

namespace callgate {

constexpr char kHttpPolicy[] = R"({"version":"1","default":"deny","hide":["secret"],"tools":{
    "ok":{},"bad":{"action":"deny","reason":"No."},
    "once":{"limits":[{"counter":"c","window":"day","max":1}]},
    "twice":{"limits":[{"counter":"d","window":"day","max":2,"scope":"session"}]}}})";

inline HttpFacts local_facts(uint16_t port = 40000) {
    HttpFacts facts;
    facts.server.process.pid = 10;
    facts.peer.process.pid = 20;
    facts.peer.process.uid = 1000;
    facts.peer.process.exe = "/usr/bin/client";
    facts.peer_address = "127.0.0.1:" + std::to_string(port);
    facts.grant = "uid:1000 exe:/usr/bin/client";
    facts.listen = "127.0.0.1:3000";
    return facts;
}

// --- messages and how they travel ---------------------------------------------------------------------------------
inline std::string call_json(std::string_view id, std::string_view tool) {
    std::string line = call_line(id, tool);
    line.pop_back();
    return line;
}
inline std::string result_json(std::string_view id, std::string_view result = "{}") {
    std::string line = result_line(id, result);
    line.pop_back();
    return line;
}
inline std::string error_json(std::string_view id, int code = -32602) {
    return R"({"jsonrpc":"2.0","id":)" + std::string(id) + R"(,"error":{"code":)" + std::to_string(code) + R"(,"message":"x"}})";
}
inline std::string post(std::string_view body, std::string_view more = "", std::string_view target = "/mcp") {
    return "POST " + std::string(target) + " HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n" + std::string(more) +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}
// The same as it goes on.
inline std::string canonical(std::string_view body, std::string_view more = "", std::string_view target = "/mcp") {
    return "POST " + std::string(target) + " HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n" + std::string(more) +
           "Content-Length: " + std::to_string(body.size()) + "\r\naccept-encoding: identity\r\n\r\n" + std::string(body);
}
inline std::string response(std::string_view body, std::string_view more = "", std::string_view status = "200 OK",
                            std::string_view type = "application/json") {
    return "HTTP/1.1 " + std::string(status) + "\r\nContent-Type: " + std::string(type) + "\r\n" + std::string(more) +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}
inline std::string chunk(std::string_view payload) {
    char size[20];
    snprintf(size, sizeof size, "%zx\r\n", payload.size());
    return size + std::string(payload) + "\r\n";
}
inline std::string sse(std::string_view data) { return "event: message\ndata: " + std::string(data) + "\n\n"; }
inline const std::string kEventsHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
inline const std::string kLastChunk = "0\r\n\r\n";

// --- what is played -------------------------------------------------------------------------------------------------
struct Step {
    enum class Kind { client, client_end, server, server_end, server_failed } kind;
    std::string bytes;
};
inline Step client(std::string bytes) { return {Step::Kind::client, std::move(bytes)}; }
inline Step server(std::string bytes) { return {Step::Kind::server, std::move(bytes)}; }
inline Step client_end() { return {Step::Kind::client_end, {}}; }
inline Step server_end() { return {Step::Kind::server_end, {}}; }
inline Step server_failed() { return {Step::Kind::server_failed, {}}; }

class HttpWorld {
  public:
    explicit HttpWorld(std::string_view text = kHttpPolicy)
        : sessions(std::make_unique<HttpSessions>(*world_.log, grants, pins)) {
        std::vector<PolicyProblem> problems;
        policy = Policy::load(text, "p.json", problems);
        for (const PolicyProblem& problem : problems) ADD_FAILURE() << problem.text();
    }
    AuditLog& log() { return *world_.log; }
    CounterTable& counters() { return world_.counters; }
    // Ends the sessions and the log. "type kind method decision rule" of every record, what is absent left out.
    std::vector<std::string> audit() {
        sessions.reset();
        std::istringstream text(world_.audit_text());
        std::vector<std::string> out;
        for (std::string line; std::getline(text, line);) {
            records.push_back(nlohmann::json::parse(line));
            const nlohmann::json& record = records.back();
            std::string said = record["type"] == "message" ? std::string(record["direction"]) : std::string(record["type"]);
            for (const char* key : {"kind", "method", "tool", "decision", "rule", "refusal", "outcome"})
                if (record.contains(key)) said += " " + std::string(record[key]);
            if (record["type"] != "message" && record.contains("reason")) said += ": " + std::string(record["reason"]);
            out.push_back(said);
        }
        return out;
    }

    // After audit(): every session that ended had its books in balance.
    bool sessions_conserved() const {
        return std::all_of(records.begin(), records.end(), [](const nlohmann::json& record) {
            return record["type"] != "session_end" || record["conserved"] == true;
        });
    }

    std::shared_ptr<const Policy> policy;
    std::vector<nlohmann::json> records;
    GrantsInForce grants;
    PinTable pins;

  private:
    GateWorld world_;

  public:
    std::unique_ptr<HttpSessions> sessions;
};

// One connection. Output is kept from the beginning, so that it can be compared whole.
class HttpWire {
  public:
    explicit HttpWire(HttpWorld& world, HttpFacts facts = local_facts(), size_t frame_bytes_max = kFrameBytesDefault)
        : frame_bytes_max_(frame_bytes_max) {
        open(world, std::move(facts));
    }
    void open(HttpWorld& world, HttpFacts facts) {
        gate = std::make_unique<HttpGate>(HttpGateOptions{world.policy, std::move(facts), frame_bytes_max_}, *world.sessions,
                                          world.counters(), world.log(), to_server, to_client);
    }
    void play(const Step& step, size_t piece = 0) {
        if (piece == 0) piece = std::max<size_t>(step.bytes.size(), 1);
        for (size_t at = 0; at < step.bytes.size(); at += piece) {
            const std::string bytes = step.bytes.substr(at, piece);
            step.kind == Step::Kind::client ? gate->client_bytes(bytes) : gate->server_bytes(bytes);
        }
        if (step.kind == Step::Kind::client_end) gate->client_end();
        if (step.kind == Step::Kind::server_end) gate->server_end();
        if (step.kind == Step::Kind::server_failed) gate->server_failed();
    }
    // What one more step adds.
    std::string to_server_by(const Step& step) {
        const size_t before = to_server.size();
        play(step);
        return to_server.substr(before);
    }
    std::string to_client_by(const Step& step) {
        const size_t before = to_client.size();
        play(step);
        return to_client.substr(before);
    }

    std::string to_server, to_client;
    std::unique_ptr<HttpGate> gate;

  private:
    const size_t frame_bytes_max_;
};

inline void expect_conserved(const FrameCounts& counts) {
    EXPECT_TRUE(counts.conserved()) << counts.in << " = " << counts.forwarded << " + " << counts.denied << " + " << counts.refused
                                    << " + " << counts.held << "; " << counts.server_in << " = " << counts.server_forwarded;
}

}  // namespace callgate
