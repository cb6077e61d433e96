// JsonTreeBuilder: makes a tree of values out of what a reader finds, in the order of the text. It keeps the
// bounds that every policy file has: nesting at most kJsonDepthMax, at most kPolicyValuesMax values, no key
// twice.
//
//   open(object, 0); key("a", 1); scalar(true at 5); close(10)   ->   {"a": true}
//
// Readers: json_document.cpp, yaml_document.cpp.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "policy/json_document.h"

namespace callgate {

class JsonTreeBuilder {
  public:
    explicit JsonTreeBuilder(ProblemList& problems) : problems_(problems) {}

    // Each returns false, and has said why, where a bound is passed: reading is to end there.
    bool open(JsonValue::Kind kind, size_t offset);
    bool scalar(JsonValue value);
    void key(std::string name, size_t offset) { open_.back().keys.push_back({std::move(name), offset}); }
    // `end`: behind the container's last byte.
    void close(size_t end);

    // The next value would be a key: the innermost container is an object whose last key has its value.
    bool wants_key() const;
    // JSON Pointer of what is read now.
    std::string path() const { return path_of_open(open_.size()); }
    // The root; nothing before it is closed.
    std::optional<JsonValue> take() { return done_ ? std::optional(std::move(root_)) : std::nullopt; }

  private:
    bool count(size_t offset);
    void add(JsonValue value);
    void report_duplicates(const JsonValue& object);
    std::string path_of_open(size_t depth) const;

    ProblemList& problems_;
    std::vector<JsonValue> open_;  // from the root inwards
    JsonValue root_;
    bool done_ = false;
    size_t values_ = 0;
};

}  // namespace callgate
