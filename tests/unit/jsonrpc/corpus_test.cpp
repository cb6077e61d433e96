// Runs tests/corpus/verdicts.jsonl: each case whole, and in chunks of 1, 3 and 7 bytes; the trace must be the
// same.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "frame/line_framer.h"
#include "jsonrpc/answer.h"
#include "jsonrpc/message.h"

namespace callgate {
namespace {

using Json = nlohmann::json;

// Bytes as the corpus writes them: one code point up to U+00FF is one byte.
std::string to_bytes(const std::string& utf8) {
    std::string bytes;
    for (size_t i = 0; i < utf8.size(); ++i) {
        const auto lead = static_cast<unsigned char>(utf8[i]);
        if (lead < 0x80) {
            bytes.push_back(utf8[i]);
        } else {
            bytes.push_back(static_cast<char>((lead & 0x03) << 6 | (utf8.at(++i) & 0x3f)));
        }
    }
    return bytes;
}

std::string input_bytes(const Json& input) {
    if (input.is_string()) return to_bytes(input);
    std::string bytes;
    for (const Json& part : input) {
        if (part.is_string()) {
            bytes += to_bytes(part);
        } else {
            const std::string piece = to_bytes(part[0]);
            for (size_t i = 0; i < part[1].get<size_t>(); ++i) bytes += piece;
        }
    }
    return bytes;
}

std::string spelling(MessageKind kind) {
    switch (kind) {
        case MessageKind::invalid: return "invalid";
        case MessageKind::request: return "request";
        case MessageKind::notification: return "notification";
        case MessageKind::response: return "response";
    }
    return "?";
}

struct Verdict {
    std::string kind, refusal, id, answer, method, tool, arguments, protocol_version;
    size_t offset = 0;
    bool operator==(const Verdict&) const = default;
    friend std::ostream& operator<<(std::ostream& out, const Verdict& v) {
        return out << v.kind << ' ' << v.refusal << " at " << v.offset << " id " << v.id << " method " << v.method << " tool "
                   << v.tool << " arguments " << v.arguments << " answer " << v.answer;
    }
};

class Judge final : public LineFramer::Handler {
  public:
    explicit Judge(bool answers) : answers_(answers) {}

    bool line(std::string_view bytes) override {
        const Message& m = parser_.parse(bytes);
        Verdict verdict{
            spelling(m.kind),      std::string(name(m.refusal)), std::string(m.id_token),  "",
            std::string(m.method), std::string(m.name),          std::string(m.arguments), std::string(m.protocol_version),
            m.refusal_offset};
        if (answers_ && m.kind == MessageKind::invalid && m.refusal != Refusal::empty && !m.id_token.empty()) {
            append_refusal(verdict.answer, m.id_token, m.refusal, m.refusal_offset);
        }
        verdicts.push_back(verdict);
        return true;
    }
    void oversize(std::string_view head) override {
        verdicts.push_back({"invalid", std::string(name(Refusal::too_long)), "", "", "", "", "", "", head.size()});
    }
    void skipped(size_t) override {}

    std::vector<Verdict> verdicts;

  private:
    MessageParser parser_;
    bool answers_;
};

std::vector<Verdict> run(const Json& test_case, const std::string& bytes, size_t chunk_bytes) {
    LineFramer framer(test_case.value("frame_bytes_max", kFrameBytesDefault));
    Judge judge(test_case["direction"] == "c2s");
    for (size_t at = 0; at < bytes.size(); at += chunk_bytes) {
        framer.feed(std::string_view(bytes).substr(at, chunk_bytes), judge);
    }
    if (!framer.rest().empty()) judge.line(framer.rest());
    return judge.verdicts;
}

// What the corpus does not say about an accepted frame is taken from the verdict, so that it compares equal.
std::vector<Verdict> expected(const Json& test_case, const std::vector<Verdict>& actual) {
    std::vector<Verdict> verdicts;
    for (const Json& frame : test_case["frames"]) {
        const Verdict& seen = verdicts.size() < actual.size() ? actual[verdicts.size()] : Verdict{};
        const auto text = [&](const char* key, const std::string& unsaid) {
            return frame.contains(key) ? to_bytes(frame[key]) : unsaid;
        };
        verdicts.push_back({frame["kind"], frame["refusal"], to_bytes(frame["id"]),
                            frame["answer"].is_null() ? "" : to_bytes(frame["answer"]), text("method", seen.method),
                            text("tool", seen.tool), text("arguments", seen.arguments),
                            text("protocol_version", seen.protocol_version), frame["offset"].get<size_t>()});
    }
    return verdicts;
}

TEST(Corpus, EveryCaseHasItsVerdictHoweverItIsCut) {
    std::ifstream file(CALLGATE_SOURCE_DIR "/tests/corpus/verdicts.jsonl");
    ASSERT_TRUE(file.is_open());
    std::set<std::string> covered;
    size_t cases = 0;
    for (std::string line; std::getline(file, line); ++cases) {
        const Json test_case = Json::parse(line);
        SCOPED_TRACE(test_case["name"].get<std::string>());
        for (const Json& rule : test_case["covers"]) covered.insert(rule.get<std::string>());
        const std::string bytes = input_bytes(test_case["input"]);
        const std::vector<Verdict> whole = run(test_case, bytes, bytes.size());
        EXPECT_EQ(whole, expected(test_case, whole));
        for (const size_t chunk_bytes : {1, 3, 7}) EXPECT_EQ(run(test_case, bytes, chunk_bytes), whole) << chunk_bytes;
    }
    EXPECT_GE(cases, 90u);
    for (int vector = 1; vector <= 17; ++vector) EXPECT_TRUE(covered.contains("vector:" + std::to_string(vector))) << vector;
}

}  // namespace
}  // namespace callgate
