// Runs tests/corpus/http_requests.jsonl: each case whole, split in two at every offset, and in chunks of 1, 3 and 7
// bytes; every trace must be the one that the corpus states.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "request_trace.h"

namespace callgate::http_test {
namespace {

using Json = nlohmann::json;

// Longer inputs are split at their ends and at some places between: every offset would take minutes.
constexpr size_t kEverySplit = 512;

std::string bytes_of(const Json& text) {
    std::string bytes;
    const std::string utf8 = text;
    for (size_t i = 0; i < utf8.size(); ++i) {
        const auto lead = static_cast<unsigned char>(utf8[i]);
        bytes.push_back(lead < 0x80 ? utf8[i] : static_cast<char>((lead & 3) << 6 | (utf8.at(++i) & 0x3f)));
    }
    return bytes;
}

std::string input_of(const Json& input) {
    if (input.is_string()) return bytes_of(input);
    std::string bytes;
    for (const Json& part : input) {
        const std::string text = bytes_of(part.is_array() ? part[0] : part);
        for (size_t i = part.is_array() ? part[1].get<size_t>() : 1; i > 0; --i) bytes += text;
    }
    return bytes;
}

std::vector<Json> read_cases() {
    std::ifstream file(CALLGATE_SOURCE_DIR "/tests/corpus/http_requests.jsonl");
    std::vector<Json> cases;
    for (std::string line; std::getline(file, line);) cases.push_back(Json::parse(line));
    return cases;
}

Json to_json(const Trace& trace) {
    const auto text = [](std::string_view bytes) {
        std::string utf8;
        for (const char byte : bytes) {
            const auto code = static_cast<unsigned char>(byte);
            if (code < 0x80)
                utf8.push_back(byte);
            else
                utf8.append({static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 0x3f))});
        }
        return utf8;
    };
    Json result{{"requests", Json::array()}, {"end", trace.end}};
    for (const TracedRequest& request : trace.requests) {
        result["requests"].push_back({{"method", text(request.method)},
                                      {"target", text(request.target)},
                                      {"host", text(request.host)},
                                      {"framing", request.framing},
                                      {"body", text(request.body)}});
    }
    if (trace.end == "refused") {
        result["refusal"] = name(trace.problem.refusal);
        result["offset"] = trace.problem.offset;
        result["status"] = status_of(trace.problem.refusal);
    }
    return result;
}

TEST(HttpCorpus, EveryCaseWholeAndInChunks) {
    const std::vector<Json> cases = read_cases();
    ASSERT_GE(cases.size(), 200U);
    for (const Json& test : cases) {
        Json expected = test;
        for (const char* about : {"name", "covers", "input"}) expected.erase(about);
        const std::string input = input_of(test["input"]);
        const Trace whole = trace_requests(input, std::max<size_t>(input.size(), 1));
        EXPECT_EQ(to_json(whole), expected) << test["name"];
        for (const size_t chunk : {1U, 3U, 7U}) EXPECT_EQ(trace_requests(input, chunk), whole) << test["name"];
        for (size_t split = 1; split < input.size(); ++split) {
            const bool at_an_end = split < kEverySplit / 2 || split + kEverySplit / 2 > input.size();
            if (!at_an_end && split % 997 != 0) continue;
            EXPECT_EQ(trace_split(input, split), whole) << test["name"] << split;
        }
    }
}

// Every reason to refuse a request is met, and every name is used once.
TEST(HttpCorpus, CoversEveryRefusal) {
    std::set<std::string> met, names;
    for (const Json& test : read_cases()) {
        if (test.contains("refusal")) met.insert(test["refusal"]);
        EXPECT_TRUE(names.insert(test["name"]).second) << test["name"];
    }
    for (int value = 1; value <= static_cast<int>(HttpRefusal::incomplete); ++value) {
        const auto refusal = static_cast<HttpRefusal>(value);
        // Those are of responses, and of a stream that is told to have ended.
        if (refusal == HttpRefusal::bad_status_line || refusal == HttpRefusal::chunk_line_too_long ||
            refusal == HttpRefusal::incomplete)
            continue;
        EXPECT_TRUE(met.contains(std::string(name(refusal)))) << name(refusal);
    }
}

}  // namespace
}  // namespace callgate::http_test
