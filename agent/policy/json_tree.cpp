#include "policy/json_tree.h"

#include <unordered_set>

#include "base/limits.h"
#include "policy/nearest_key.h"

namespace callgate {

bool JsonTreeBuilder::open(JsonValue::Kind kind, size_t offset) {
    if (open_.size() >= static_cast<size_t>(kJsonDepthMax)) {
        problems_.add(offset, path(), "nested deeper than " + std::to_string(kJsonDepthMax) + " levels");
        return false;
    }
    if (!count(offset)) return false;
    JsonValue value;
    value.kind = kind;
    value.offset = offset;
    open_.push_back(std::move(value));
    return true;
}

bool JsonTreeBuilder::scalar(JsonValue value) {
    if (!count(value.offset)) return false;
    add(std::move(value));
    return true;
}

void JsonTreeBuilder::close(size_t end) {
    if (open_.back().kind == JsonValue::Kind::object) report_duplicates(open_.back());
    JsonValue value = std::move(open_.back());
    value.end = end;
    open_.pop_back();
    add(std::move(value));
}

bool JsonTreeBuilder::wants_key() const {
    return !open_.empty() && open_.back().kind == JsonValue::Kind::object &&
           open_.back().keys.size() == open_.back().items.size();
}

void JsonTreeBuilder::add(JsonValue value) {
    if (open_.empty()) {
        root_ = std::move(value);
        done_ = true;
    } else {
        open_.back().items.push_back(std::move(value));
    }
}

bool JsonTreeBuilder::count(size_t offset) {
    if (++values_ <= kPolicyValuesMax) return true;
    problems_.add(offset, path(), "more than " + std::to_string(kPolicyValuesMax) + " values in one file");
    return false;
}

void JsonTreeBuilder::report_duplicates(const JsonValue& object) {
    std::unordered_set<std::string_view> seen;
    for (const JsonKey& key : object.keys) {
        if (seen.insert(key.name).second) continue;
        problems_.add(key.offset, join_pointer(path_of_open(open_.size() - 1), key.name),
                      "key " + in_quotes(key.name) + " is given more than once");
    }
}

// The containers around what is read know which of their members it is.
std::string JsonTreeBuilder::path_of_open(size_t depth) const {
    std::string out;
    for (size_t i = 0; i < depth; ++i) {
        const JsonValue& container = open_[i];
        if (container.kind == JsonValue::Kind::array) {
            out = join_pointer(out, container.items.size());
        } else if (container.keys.size() > container.items.size()) {
            out = join_pointer(out, container.keys.back().name);
        }
    }
    return out;
}

}  // namespace callgate
