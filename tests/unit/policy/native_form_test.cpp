// Conversion to the native dialect's normal form: what it writes, and that it decides the same.
#include "policy/native_form.h"

#include <gtest/gtest.h>

#include "policy/dialect.h"
#include "policy/json_text.h"
#include "policy/policy.h"

namespace callgate {
namespace {

std::string converted(const std::string& text, const std::string& file = "p.json") {
    std::vector<PolicyProblem> problems;
    EXPECT_TRUE(Policy::load(text, file, problems)) << problems.front().text();
    ProblemList none;
    std::optional<JsonValue> tree = read_policy_tree(text, file, none);
    to_native_form(*tree);
    std::string out = json_text(*tree);
    EXPECT_TRUE(Policy::load(out, "p.json", problems)) << problems.front().text();
    return out;
}

TEST(NativeForm, TheFaqFormBecomesRulesAndLimits) {
    EXPECT_EQ(converted(R"({"default":"deny","version":"1","tools":{
        "a":{"action":"deny","reason":"No.","deny_if":[{"conditions":[{"value":1.50,"op":"gt","path":"args.x"}]}]},
        "b":{"reason":"Ask.","action":"require_approval"},
        "c":{"rate_limit":{"max":9,"window":60},"limits":[{"max":1,"window":"day","counter":"d"}]},
        "d":{"action":"allow","reason":"Harmless."},
        "e":{"action":"allow","reason":"Harmless.","$comment":"Read."}},
        "methods":{"prompts/get":{"names":{"p":{"action":"deny"}},"action":"allow"}}})"),
              R"({
  "version": "1",
  "default": "deny",
  "tools": {
    "a": {
      "deny_if": [
        {"conditions": [{"path": "args.x", "op": "gt", "value": 1.50}]},
        {"conditions": [], "on_deny": "No."}
      ]
    },
    "b": {"require_approval": [{"conditions": [], "on_deny": "Ask."}]},
    "c": {
      "limits": [
        {"counter": "d", "window": "day", "max": 1},
        {"counter": "rate_limit", "window": 60, "max": 9, "scope": "session"}
      ]
    },
    "d": {"$comment": "Harmless."},
    "e": {"$comment": "Read. Harmless."}
  },
  "methods": {"prompts/get": {"names": {"p": {"deny_if": [{"conditions": []}]}}}}
}
)");
}

TEST(NativeForm, RemarksNumbersAndOrderAreKept) {
    const std::string text = R"({
  "version": "1",
  "description": "d\n\"é\"",
  "$comment": "c",
  "server": {"package": "x"},
  "default": "allow",
  "hide": ["z", "a"],
  "all_tools": {"$comment": "all", "limits": [{"$comment": "l", "counter": "c", "window": 90, "max": 5}]},
  "tools": {
    "$comment": "tools",
    "z": {
      "$comment": "z",
      "deny_if": [
        {
          "conditions": [
            {
              "path": "args.n",
              "op": "in",
              "value": [9007199254740993, 1e300, -0.0, 18446744073709551616, null, true]
            }
          ]
        }
      ]
    },
    "a": {}
  }
}
)";
    EXPECT_EQ(converted(text), text);
    EXPECT_EQ(converted(text, "p.yaml"), text);
}

TEST(NativeForm, WhatCountsIsKeptAsItIsWritten) {
    const std::string native = converted(R"({"version":"1","default":"deny","tools":{"x":{"limits":[
        {"count_unanswered":false,"count_failed":true,"max":1,"window":"day","counter":"c"}]}}})");
    EXPECT_NE(native.find(R"("max": 1, "count_unanswered": false, "count_failed": true)"), native.npos) << native;
}

TEST(NativeForm, TheYamlDialectKeepsTheNamesOfItsRules) {
    EXPECT_EQ(converted(R"(version: "1"
description: Everything.   # this is lost
tools:
  "*": {rules: [{name: all, rate_limit: 60/minute}]}
  pay:
    rules:
      - name: cap
        conditions:
          - {path: args.rate, op: lte, value: 0.10}
          - {path: state.pay.daily, op: lt, value: 100}
        state: {counter: daily, window: day, increment_from: args.amount}
        on_deny: Enough.
)",
                        "p.yaml"),
              R"({
  "version": "1",
  "description": "Everything.",
  "default": "allow",
  "all_tools": {
    "limits": [
      {"$comment": "all", "counter": "_rate_minute", "window": "minute", "max": 60, "scope": "server"}
    ]
  },
  "tools": {
    "pay": {
      "require": [
        {
          "$comment": "cap",
          "conditions": [{"path": "args.rate", "op": "lte", "value": 0.10}],
          "on_deny": "Enough."
        }
      ],
      "limits": [
        {
          "$comment": "cap",
          "counter": "daily",
          "window": "day",
          "max": 99,
          "scope": "server",
          "increment_from": "args.amount",
          "on_deny": "Enough."
        }
      ]
    }
  }
}
)");
}

}  // namespace
}  // namespace callgate
