// The canonical form: same meaning, same text; another meaning, another text.
#include "jsonrpc/canonical.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

#include "jsonrpc/answer.h"

namespace callgate {
namespace {

std::string canonical(std::string_view json) {
    std::string out;
    return append_canonical(out, json) ? out : "(unreadable)";
}

TEST(Canonical, SortsKeysAtEveryDepthAndDropsWhiteSpace) {
    EXPECT_EQ(canonical(R"( {"b" : [1, {"z":null,"a":true}] , "a":{} } )"), R"({"a":{},"b":[1,{"a":true,"z":null}]})");
    EXPECT_EQ(canonical(R"({"a":1,"":2,"ab":3,"B":4})"), R"({"":2,"B":4,"a":1,"ab":3})");
    EXPECT_EQ(canonical("[]"), "[]");
    EXPECT_EQ(canonical("[3,1,2]"), "[3,1,2]");
}

TEST(Canonical, SpellingsOfATextAreOne) {
    EXPECT_EQ(canonical(R"("\u0041\/\u000a\uD83D\uDE00\u00e9")"), canonical("\"A/\\n\U0001F600\u00e9\""));
    EXPECT_EQ(canonical(R"({"\u0061":1})"), R"({"a":1})");
    EXPECT_NE(canonical(R"("é")"),
              canonical("\"e\u0301\""));  // not the same characters, whatever they look like
    EXPECT_NE(canonical(R"("1")"), canonical("1"));
    EXPECT_NE(canonical(R"("\\n")"), canonical(R"("\n")"));
}

TEST(Canonical, NumbersAreExact) {
    for (const char* same : {"1", "1.0", "1.000e0", "10e-1", "0.1E+1", "100e-2"}) EXPECT_EQ(canonical(same), "1") << same;
    for (const char* zero : {"0", "-0", "0.0", "0e99", "-0.00e-3"}) EXPECT_EQ(canonical(zero), "0") << zero;
    EXPECT_EQ(canonical("100"), "1e2");
    EXPECT_EQ(canonical("-1.50"), "-15e-1");
    EXPECT_NE(canonical("9007199254740993"), canonical("9007199254740992"));
    EXPECT_NE(canonical("0.1"), canonical("0.10000000000000001"));
    EXPECT_NE(canonical("1e-4000000000000"), canonical("1e-4000000000001"));
    EXPECT_NE(canonical("1e-99999999999999999999"), canonical("1e-99999999999999999998"));
    EXPECT_EQ(canonical("1e007"), canonical("10000000"));
}

TEST(Canonical, OmittedMembersAreAsIfTheyWereNotThere) {
    const auto without = [](std::string_view json) {
        static constexpr OmittedMember kOmitted[] = {{"name"}, {"_meta", "x"}};
        std::string out;
        return append_canonical(out, json, kOmitted) ? out : "(unreadable)";
    };
    EXPECT_EQ(without(R"({"name":{"a":[1]},"b":1})"), R"({"b":1})");
    EXPECT_EQ(without(R"({"b":{"name":1},"_meta":{"y":{"x":2},"\u0078":{"z":1}}})"), R"({"_meta":{"y":{"x":2}},"b":{"name":1}})");
    EXPECT_EQ(without(R"({"_meta":{"x":1},"b":1})"), R"({"b":1})");
    EXPECT_EQ(without(R"({"_meta":{},"x":1})"), R"({"_meta":{},"x":1})");
    EXPECT_EQ(without(R"([{"name":1,"_meta":{"x":1}}])"), R"([{"_meta":{"x":1},"name":1}])");
    EXPECT_EQ(without(R"({"_meta":[{"x":1}]})"), R"({"_meta":[{"x":1}]})");
    EXPECT_EQ(without(R"({"name":1})"), "{}");
    EXPECT_EQ(without(R"({"name":[})"), "(unreadable)");
}

TEST(Canonical, WhatIsNoValueHasNone) {
    for (const char* bad : {"", "{", "1 2", "{\"a\"}", "[1,]", "nul", "\"\\ud800\""})
        EXPECT_EQ(canonical(bad), "(unreadable)") << bad;
    std::string kept = "before";
    EXPECT_FALSE(append_canonical(kept, "[1,"));
    EXPECT_EQ(kept, "before");
}

// --- random values, each written in two ways

using nlohmann::json;

class Values {
  public:
    explicit Values(uint32_t seed) : random_(seed) {}
    json value(int depth) {
        switch (below(depth > 0 ? 7 : 5)) {
            case 0: return text();
            case 1: return static_cast<int64_t>(random_()) * (below(2) ? 1 : -1) * 3;
            case 2: return below(2) == 1;
            case 3: return nullptr;
            case 4: return static_cast<double>(below(100000)) / 64;
            case 5: {
                json list = json::array();
                for (size_t n = below(4); n > 0; --n) list.push_back(value(depth - 1));
                return list;
            }
            default: {
                json object = json::object();
                for (size_t n = below(5); n > 0; --n) object[text()] = value(depth - 1);
                return object;
            }
        }
    }
    // The same value: members in any order, white space and escapes at will.
    std::string written(const json& value) {
        if (value.is_array() || value.is_object()) {
            std::vector<std::string> parts;
            for (auto it = value.begin(); it != value.end(); ++it)
                parts.push_back(value.is_object() ? spelled(it.key()) + space() + ":" + written(*it) : written(*it));
            if (value.is_object()) std::shuffle(parts.begin(), parts.end(), random_);
            std::string out(value.is_array() ? "[" : "{");
            for (size_t i = 0; i < parts.size(); ++i) out += (i ? "," : "") + space() + parts[i] + space();
            return out + (value.is_array() ? "]" : "}");
        }
        if (value.is_string()) return spelled(value.get<std::string>());
        if (value.is_number_integer() && below(2)) return value.dump() + ".0e0";
        return value.dump();
    }
    size_t below(size_t n) { return random_() % n; }

  private:
    std::string text() {
        static constexpr std::array<const char*, 8> kParts = {"a", "b", "é", "\n", "\"", "\\", "\U0001F600", "/"};
        std::string out;
        for (size_t n = below(4); n > 0; --n) out += kParts[below(kParts.size())];
        return out;
    }
    std::string spelled(const std::string& text) {
        if (below(2)) return json(text).dump();
        return json(text).dump(-1, ' ', true);  // everything that can be is escaped
    }
    std::string space() { return below(3) ? "" : below(2) ? " " : "\t\r\n"; }
    std::mt19937 random_;
};

TEST(Canonical, RandomValuesWrittenTwiceAreOneAndDifferentOnesAreNot) {
    Values values(7);
    std::map<std::string, json> seen;
    for (int i = 0; i < 20000; ++i) {
        const json value = values.value(4);
        const std::string first = canonical(values.written(value));
        ASSERT_EQ(first, canonical(values.written(value))) << value.dump();
        const auto [known, is_new] = seen.emplace(first, value);
        if (!is_new) {
            ASSERT_EQ(known->second, value) << first;
        }
    }
    EXPECT_GT(seen.size(), 5000u);
}

// A form is its own form, and the value it was made of.
TEST(Canonical, IsAFixedPointThatSaysTheSame) {
    Values values(11);
    for (int i = 0; i < 5000; ++i) {
        const json value = values.value(4);
        const std::string form = canonical(values.written(value));
        ASSERT_EQ(canonical(form), form);
        ASSERT_EQ(json::parse(form), value) << form;
    }
}

}  // namespace
}  // namespace callgate
