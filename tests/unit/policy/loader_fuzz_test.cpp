// Deterministic fuzzing: whatever bytes a policy file holds, loading ends, throws nothing, and returns either
// a policy or problems whose positions lie in the file.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "policy/policy.h"
#include "policy/problem_list.h"

namespace callgate {
namespace {

class LoaderFuzz : public ::testing::Test {
  protected:
    LoaderFuzz() {
        for (const auto& entry : std::filesystem::directory_iterator(CALLGATE_SOURCE_DIR "/policies")) {
            if (entry.path().extension() != ".json" || entry.file_size() > 8192) continue;
            std::ifstream file(entry.path());
            std::stringstream text;
            text << file.rdbuf();
            seeds_.push_back(text.str());
        }
        seeds_.emplace_back(
            R"({"version":"1","default":"allow","mode":"shadow","on_blind":"kill","fail":"open","deny_as":"error","hide":["a","glob:b[0-9]*"],
               "all_tools":{"limits":[{"counter":"c","window":90,"max":9,"scope":"server"}]},
               "tools":{"x":{"action":"deny","reason":"r"},"glob:y?":{"rate_limit":{"max":1,"window":"hour"}}}})");
    }

    unsigned below(size_t n) { return static_cast<unsigned>(random_() % n); }

    void check(const std::string& text) {
        std::vector<PolicyProblem> problems;
        const auto policy = Policy::load(text, "f", problems);
        ASSERT_EQ(policy != nullptr, problems.empty()) << text;
        ASSERT_LE(problems.size(), kPolicyProblemsMax + 1);
        const auto lines = 1 + std::count(text.begin(), text.end(), '\n');
        for (const PolicyProblem& problem : problems) {
            ASSERT_GE(problem.line, 1);
            ASSERT_LE(problem.line, lines);
            ASSERT_GE(problem.column, 1);
            ASSERT_LE(static_cast<size_t>(problem.column), text.size() + 1);
            ASSERT_FALSE(problem.message.empty());
            for (char c : problem.text()) ASSERT_GE(static_cast<unsigned char>(c), 0x20) << problem.text();
        }
        if (policy) {
            CounterTable counters;
            for (const char* tool : {"x", "y1", "session_end", ""}) {
                static_cast<void>(policy->judge_tool({tool}, {"g", "s", "v"}, 0, counters));
            }
        }
    }

    std::mt19937 random_{20260101};
    std::vector<std::string> seeds_;
};

TEST_F(LoaderFuzz, RandomBytes) {
    for (int i = 0; i < 20'000; ++i) {
        std::string text(below(40), '\0');
        for (char& c : text) c = static_cast<char>(below(256));
        check(text);
    }
}

TEST_F(LoaderFuzz, RandomTokens) {
    const char* tokens[] = {"{",     "}",           "[",        "]",           ",",          ":",          "\"version\"",
                            "\"1\"", "\"default\"", "\"deny\"", "\"tools\"",   "\"limits\"", "\"glob:[\"", "null",
                            "true",  "-1",          "1e400",    "\"\\u0000\"", "\n",         "\"\\ud800\""};
    for (int i = 0; i < 20'000; ++i) {
        std::string text;
        for (unsigned n = below(30); n > 0; --n) text += tokens[below(std::size(tokens))];
        check(text);
    }
}

TEST_F(LoaderFuzz, MutatedPolicies) {
    const std::string bytes = "{}[]\",:\\0-eE.nt\n \x7f\xff\xc3";
    for (int i = 0; i < 6'000; ++i) {
        std::string text = seeds_[below(seeds_.size())];
        for (unsigned n = 1 + below(4); n > 0 && !text.empty(); --n) {
            const size_t at = below(text.size());
            switch (below(5)) {
                case 0: text[at] = bytes[below(bytes.size())]; break;
                case 1: text.erase(at, 1 + below(20)); break;
                case 2: text.insert(at, 1, bytes[below(bytes.size())]); break;
                case 3: text.insert(at, text.substr(below(text.size()), below(40))); break;
                case 4: text[at] = static_cast<char>(text[at] ^ (1 << below(8))); break;
            }
        }
        check(text);
    }
}

TEST_F(LoaderFuzz, EveryPrefixOfAPolicy) {
    for (const std::string& seed : seeds_) {
        for (size_t n = 0; n < std::min<size_t>(seed.size(), 1500); ++n) check(seed.substr(0, n));
    }
}

}  // namespace
}  // namespace callgate
