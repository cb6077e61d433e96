#include "policy/json_document.h"

#include <gtest/gtest.h>

#include "document_problems.h"
#include "policy/policy.h"

namespace callgate {
namespace {

std::vector<std::string> problems_of(std::string_view text) { return problems_of(parse_json, text); }
std::string only_problem_of(std::string_view text) { return only_problem_of(parse_json, text); }

TEST(JsonDocument, EveryKeyAndValueKnowsItsPlace) {
    const std::string_view text = "{ \"a,:\\\"}\" :\n [true , -1,2.5,null, \"x\\\\\"] , \"b\":{\"c\":{}}}";
    ProblemList problems;
    const std::optional<JsonValue> root = parse_json(text, problems);
    ASSERT_TRUE(root);
    ASSERT_EQ(root->keys.size(), 2u);
    EXPECT_EQ(root->keys[0].name, "a,:\"}");
    EXPECT_EQ(root->keys[0].offset, 2u);
    const auto at = [&](const JsonValue& value) { return text.substr(value.offset, 2); };
    const JsonValue& array = root->items[0];
    EXPECT_EQ(at(array), "[t");
    ASSERT_EQ(array.items.size(), 5u);
    EXPECT_EQ(at(array.items[0]), "tr");
    EXPECT_EQ(at(array.items[1]), "-1");
    EXPECT_EQ(array.items[1].integer, -1);
    EXPECT_EQ(at(array.items[2]), "2.");
    EXPECT_EQ(at(array.items[3]), "nu");
    EXPECT_EQ(at(array.items[4]), "\"x");
    EXPECT_EQ(text[root->keys[1].offset + 1], 'b');
    EXPECT_EQ(at(*root->find("b")), "{\"");
    EXPECT_EQ(at(*root->find("b")->find("c")), "{}");
    EXPECT_EQ(root->find("c"), nullptr);
}

TEST(JsonDocument, NumbersBeyondSixtyFourBitsAreNoIntegers) {
    ProblemList problems;
    const auto root = parse_json("[9223372036854775807, 9223372036854775808, 1e3, 18446744073709551616]", problems);
    ASSERT_TRUE(root);
    EXPECT_EQ(root->items[0].kind, JsonValue::Kind::integer);
    for (size_t i = 1; i < 4; ++i) EXPECT_EQ(root->items[i].kind, JsonValue::Kind::number);
}

TEST(JsonDocument, SyntaxErrorsPointAtTheByte) {
    EXPECT_TRUE(only_problem_of("{\n  \"a\": 1,\n  \"b\" 2\n}").starts_with("f:3:7: /b: not JSON: "));
    EXPECT_TRUE(only_problem_of("{\"a\" \"bcd\"}").starts_with("f:1:6: /a: not JSON: "));
    EXPECT_TRUE(only_problem_of("[1 false]").starts_with("f:1:4: /1: not JSON: "));
    EXPECT_TRUE(only_problem_of("{\"a\": [1, 2,]}").starts_with("f:1:13: /a/2: not JSON: "));
    EXPECT_TRUE(only_problem_of("").starts_with("f:1:1: not JSON: "));
    EXPECT_TRUE(only_problem_of("{").starts_with("f:1:2: not JSON: "));
    EXPECT_TRUE(only_problem_of("{} x").starts_with("f:1:4: not JSON: "));
    EXPECT_TRUE(only_problem_of("{\"a\": nul}").starts_with("f:1:10: /a: not JSON: "));
    EXPECT_TRUE(only_problem_of("{\"a\": \"\xff\"}").starts_with("f:1:8: /a: not JSON: "));
    EXPECT_TRUE(only_problem_of("[1e999]").starts_with("f:1:"));
    EXPECT_TRUE(only_problem_of("{'a': 1}").starts_with("f:1:2: not JSON: "));
    EXPECT_TRUE(only_problem_of("// remark\n{}").starts_with("f:1:1: not JSON: "));
    EXPECT_TRUE(only_problem_of("\"\\ud800\"").starts_with("f:1:"));
}

TEST(JsonDocument, ColumnsCountCharacters) { EXPECT_TRUE(only_problem_of("[\"\u20ac\u20ac\" x]").starts_with("f:1:7: /1: ")); }

TEST(JsonDocument, ByteOrderMarksAreRefused) {
    EXPECT_NE(only_problem_of("\xef\xbb\xbf{}").find("byte order mark"), std::string::npos);
    EXPECT_NE(only_problem_of(std::string_view("\xff\xfe{\0}\0", 6)).find("byte order mark"), std::string::npos);
}

TEST(JsonDocument, NothingHidesBehindANul) {
    EXPECT_EQ(only_problem_of(std::string_view("{}\n\0[", 5)), "f:2:1: contains a NUL byte; a policy is UTF-8 text");
}

TEST(JsonDocument, DuplicateKeysAreReportedWhereTheyAreRepeated) {
    EXPECT_EQ(only_problem_of("{\"x\": [{\"a\": 1,\n \"b\": 2,\n \"\\u0061\": 3}]}"),
              "f:3:2: /x/0/a: key \"a\" is given more than once");
}

TEST(JsonDocument, DepthIsBounded) {
    const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    EXPECT_TRUE(problems_of(nested(64)).empty());
    EXPECT_NE(only_problem_of(nested(65)).find("nested deeper than 64"), std::string::npos);
    EXPECT_NE(only_problem_of(nested(1'000'000)).find("nested deeper than 64"), std::string::npos);
    std::string objects;
    for (int i = 0; i < 200'000; ++i) objects += "{\"a\":";
    EXPECT_NE(only_problem_of(objects).find("nested deeper than 64"), std::string::npos);
}

TEST(JsonDocument, ValuesAreBounded) {
    std::string text = "[0";
    for (size_t i = 0; i < kPolicyValuesMax; ++i) text += ",0";
    EXPECT_NE(only_problem_of(text + "]").find("more than 500000 values"), std::string::npos);
}

TEST(JsonDocument, ProblemsAreBounded) {
    std::string text = "{\"a\":1";
    for (int i = 0; i < 1000; ++i) text += ",\"a\":1";
    const std::vector<std::string> problems = problems_of(text + "}");
    EXPECT_EQ(problems.size(), kPolicyProblemsMax + 1);
    EXPECT_NE(problems.back().find("and 800 more problems"), std::string::npos);
}

}  // namespace
}  // namespace callgate
