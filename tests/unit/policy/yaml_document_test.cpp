#include "policy/yaml_document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "document_problems.h"
#include "policy/policy.h"
#include "policy/yaml_scalar.h"

namespace callgate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Kind = JsonValue::Kind;

std::vector<std::string> problems_of(std::string_view text) { return problems_of(parse_yaml, text); }
std::string only_problem_of(std::string_view text) { return only_problem_of(parse_yaml, text); }

TEST(YamlDocument, EveryKeyAndValueKnowsItsPlace) {
    // Characters of several bytes come before most of them.
    const std::string_view text =
        "# ü\n\"ä€\": [true, -1,\n 2.5, ~, 'x''y']\nb:\n  c: {}\n  d: |\n    two\n    lines\n  e: plain\n    "
        "text\n";
    ProblemList problems;
    const std::optional<JsonValue> root = parse_yaml(text, problems);
    ASSERT_TRUE(root && problems.empty());
    const auto at = [&](const JsonValue& value) { return text.substr(value.offset, 2); };
    ASSERT_EQ(root->keys.size(), 2u);
    EXPECT_EQ(root->keys[0].name, "ä€");
    EXPECT_EQ(text[root->keys[0].offset], '"');
    const JsonValue& array = root->items[0];
    EXPECT_EQ(at(array), "[t");
    ASSERT_EQ(array.items.size(), 5u);
    EXPECT_EQ(at(array.items[0]), "tr");
    EXPECT_EQ(at(array.items[1]), "-1");
    EXPECT_EQ(array.items[1].integer, -1);
    EXPECT_EQ(array.items[1].string, "-1");
    EXPECT_EQ(at(array.items[2]), "2.");
    EXPECT_EQ(array.items[2].kind, Kind::number);
    EXPECT_EQ(array.items[3].kind, Kind::null);
    EXPECT_EQ(array.items[4].string, "x'y");
    EXPECT_EQ(text.substr(array.offset, array.end - array.offset), "[true, -1,\n 2.5, ~, 'x''y']");
    const JsonValue& object = *root->find("b");
    EXPECT_EQ(at(object), "c:");
    EXPECT_EQ(at(*object.find("c")), "{}");
    EXPECT_EQ(object.find("d")->string, "two\nlines\n");
    EXPECT_EQ(object.find("e")->string, "plain text");
}

TEST(YamlDocument, JsonIsYaml) {
    ProblemList problems;
    const auto root = parse_yaml(R"({"a": [1, "b\u00e4", null, 1e3, 18446744073709551616], "c": {}})", problems);
    ASSERT_TRUE(root && problems.empty());
    const JsonValue& list = *root->find("a");
    EXPECT_EQ(list.items[1].string, "bä");
    EXPECT_EQ(list.items[3].kind, Kind::number);
    EXPECT_EQ(list.items[4].kind, Kind::number);
    EXPECT_EQ(list.items[4].string, "18446744073709551616");
}

TEST(YamlDocument, WhatItRefuses) {
    EXPECT_EQ(only_problem_of("a: &x 1\n"), "f:1:4: /a: anchors (&name) are refused; write the value where it is used");
    EXPECT_THAT(problems_of("a: &x 1\nb: *x\n"),
                ElementsAre(HasSubstr("f:1:4: /a: anchors"), HasSubstr("f:2:4: /b: aliases (*name) are refused")));
    for (const char* text : {"a: !!str 1\n", "a: !x {}\n", "a: ! 1\n", "a: !!binary x\n", "- !x [1]\n", "a: !\n"}) {
        EXPECT_THAT(only_problem_of(text), HasSubstr("tags (!name) are refused")) << text;
    }
    EXPECT_THAT(only_problem_of("<<: {a: 1}\n"), HasSubstr("merge keys (<<) are refused"));
    EXPECT_THAT(only_problem_of("a: 1\n---\nb: 1\n"), HasSubstr("f:2:1: a second document"));
    EXPECT_THAT(only_problem_of("%YAML 1.1\n---\na: 1\n"), HasSubstr("f:1:1: directives (%YAML, %TAG) are refused"));
    EXPECT_EQ(only_problem_of("a: 1\nb:\n  c: 1\n  c: 2\n"), "f:4:3: /b/c: key \"c\" is given more than once");
    EXPECT_THAT(only_problem_of("? [a]\n: 1\n"), HasSubstr("a key must be a text, not a list or a mapping"));
    EXPECT_THAT(only_problem_of("1: a\n"), HasSubstr("a key must be a text; write \"1\" in quotes"));
    EXPECT_THAT(only_problem_of("on: a\n"), HasSubstr("is a boolean to some readers of YAML"));
    EXPECT_THAT(only_problem_of(""), HasSubstr("f:1:1: is empty"));
    EXPECT_THAT(only_problem_of("# nothing\n"), HasSubstr("is empty"));
    EXPECT_THAT(only_problem_of("\xef\xbb\xbf"
                                "a: 1"),
                HasSubstr("byte order mark"));
    EXPECT_THAT(only_problem_of(std::string_view("a: 1\0b", 6)), HasSubstr("NUL"));
    EXPECT_THAT(only_problem_of("a: '\xff'\n"), HasSubstr("f:1:5: not YAML: "));
}

TEST(YamlDocument, LinesEndAlikeForEveryReader) {
    EXPECT_THAT(problems_of("a: 1\r\nb: 2\r\n"), ElementsAre());
    for (const char* end : {"\r", "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9"}) {
        EXPECT_THAT(only_problem_of("a: 1 # c" + std::string(end) + "b: 2\n"), HasSubstr("f:1:9: a line ends with LF or CR LF"));
    }
    EXPECT_THAT(only_problem_of("a: 1\r"), HasSubstr("a line ends with LF"));
}

TEST(YamlDocument, SyntaxErrorsHaveTheirPlace) {
    EXPECT_THAT(only_problem_of("a:\n  b: [1, 2\nc: 3\n"), HasSubstr("f:3:2: /a/b/2: not YAML: while parsing a flow sequence: "));
    EXPECT_THAT(only_problem_of("a: 'ä\n"), HasSubstr("not YAML: while scanning a quoted scalar: "));
    EXPECT_THAT(only_problem_of("\ta: 1\n"), HasSubstr("f:1:1: not YAML: "));
    EXPECT_THAT(only_problem_of("a: b: c\n"), HasSubstr("f:1:5: not YAML: mapping values are not allowed"));
}

TEST(YamlDocument, Bounds) {
    const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    EXPECT_THAT(problems_of(nested(64)), ElementsAre());
    EXPECT_THAT(only_problem_of(nested(65)), HasSubstr("nested deeper than 64 levels"));
    std::string many;
    for (size_t i = 0; i < kPolicyValuesMax; ++i) many += "- 1\n";
    EXPECT_THAT(only_problem_of(many), HasSubstr("more than 500000 values"));
}

// "#general" is a comment: a rule that compares with nothing would never fire.
TEST(YamlDocument, AValueStandsThere) {
    for (const char* text : {"a:\n  value: #general\n  op: eq\n", "a:\n  value:\n", "a: {value: , op: eq}", "a: [1, {value: }]",
                             "a:\n  -\n", "- # nothing\n- 2\n"}) {
        const std::string problem = only_problem_of(text);
        EXPECT_THAT(problem, HasSubstr("nothing stands here")) << text;
        EXPECT_THAT(problem, HasSubstr("quotes")) << text;
    }
    for (const char* text : {"a: ''", "a: \"#general\"", "a: null", "a: ~", "a: []", "a: x #general", "a: {}"}) {
        EXPECT_TRUE(problems_of(text).empty()) << text;
    }
}

Kind kind_of(std::string_view text) {
    std::string problem;
    const JsonValue value = plain_yaml_scalar(text, problem);
    EXPECT_EQ(problem, "") << text;
    return value.kind;
}

TEST(YamlScalar, IsWhatEveryReaderTakesItFor) {
    for (const char* text : {"", "~", "null", "Null", "NULL"}) EXPECT_EQ(kind_of(text), Kind::null) << text;
    for (const char* text : {"true", "False", "TRUE"}) EXPECT_EQ(kind_of(text), Kind::boolean) << text;
    for (const char* text : {"0", "-0", "12", "9223372036854775807"}) EXPECT_EQ(kind_of(text), Kind::integer) << text;
    for (const char* text : {"0.10", "-1.5e-3", "1e3", "9223372036854775808"}) EXPECT_EQ(kind_of(text), Kind::number) << text;
    for (const char* text : {"5/hour", "args.amount", "y", "n", "N", "nO", "tRUE", "30m", "a_1", "-", "1.2.3", "127.0.0.1:3000",
                             "0x", "e3", "2026-1", "https://a"}) {
        EXPECT_EQ(kind_of(text), Kind::string) << text;
    }
    std::string problem;
    plain_yaml_scalar("1e400", problem);
    EXPECT_EQ(problem, "\"1e400\" is too large a number");
    EXPECT_TRUE(plain_yaml_scalar("true", problem).boolean);
    EXPECT_FALSE(plain_yaml_scalar("FALSE", problem).boolean);
}

TEST(YamlScalar, WhatReadersTakeForDifferentThingsIsNoValue) {
    for (const char* text : {"no",
                             "No",
                             "on",
                             "OFF",
                             "010",
                             "+1",
                             "1_000",
                             "0x1f",
                             "0b1",
                             "0o7",
                             ".5",
                             "5.",
                             "-.5e3",
                             "01e3",
                             "1:30",
                             "190:20:30.15",
                             ".inf",
                             "-.Inf",
                             ".NaN",
                             "2026-01-01",
                             "2026-01-01 12:00:00",
                             "2026-1-1T0:0:0Z",
                             "=",
                             "<<",
                             "."}) {
        std::string problem;
        EXPECT_EQ(plain_yaml_scalar(text, problem).kind, Kind::string) << text;
        EXPECT_THAT(problem, HasSubstr("quotes")) << text;
    }
}

TEST(YamlDocument, WhatYamlDoesNotTakeSaysWhatToDo) {
    EXPECT_THAT(only_problem_of("server: {package: @acme/notes}\n"), HasSubstr("f:1:19: "));
    EXPECT_THAT(only_problem_of("server: {package: @acme/notes}\n"),
                HasSubstr("; a text that begins with @ must stand in quotes"));
    EXPECT_THAT(only_problem_of("a: `x`\n"), HasSubstr("begins with ` must stand in quotes"));
    EXPECT_THAT(only_problem_of("tools:\n\techo: {}\n"), HasSubstr("f:2:1: "));
    EXPECT_THAT(only_problem_of("tools:\n\techo: {}\n"), HasSubstr("; indent with spaces, YAML takes no tabs for that"));
}

}  // namespace
}  // namespace callgate
