#include "policy/path_tree.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "jsonrpc/keys.h"
#include "jsonrpc/walk.h"
#include "policy/decimal.h"

namespace callgate {
namespace {

// Up to here comparing is quicker than hashing.
constexpr size_t kComparedNamesMax = 4;
// Decoded text is short; after a hostile one the memory is given back.
constexpr size_t kDecodedBytesKept = size_t{64} << 10;

// One per thread: reused by every call, so that walking allocates nothing.
struct Scratch {
    std::vector<uint32_t> nodes;
    std::string text;
};
thread_local Scratch scratch;

std::string_view decode(const StringToken& token) {
    if (!token.escaped()) return token.raw();
    scratch.text.clear();
    if (scratch.text.capacity() > kDecodedBytesKept) scratch.text.shrink_to_fit();
    append_decoded(scratch.text, token.raw());
    return scratch.text;
}

bool has_plain_bytes(std::string_view name) {
    return std::all_of(name.begin(), name.end(), [](char c) { return c > 0; });
}

// The element that a step names: "0", "17"; not "01".
int64_t element_index(std::string_view name) {
    if (name.empty() || name.front() == '-' || (name.size() > 1 && name.front() == '0')) return -1;
    return plain_integer(name).value_or(-1);
}

}  // namespace

// Follows a text through the tree: for each open container, the nodes that it is at.
class PathWalk {
  public:
    PathWalk(const PathTree& tree, const std::vector<Condition>& conditions, std::vector<uint8_t>& met)
        : tree_(tree), conditions_(conditions), met_(met) {
        // No node is at two places of a text at once.
        if (scratch.nodes.size() < tree.nodes_.size()) scratch.nodes.resize(tree.nodes_.size());
        nodes_ = scratch.nodes.data();
        nodes_[past_++] = 0;
    }

    // --- what walk.h calls ---
    void open(bool object, const char*) {
        begin_value();
        run_tests({object ? ValueKind::object : ValueKind::array, {}});
        levels_[depth_++] = {first_, 0, object};
        first_ = past_;
    }
    void key(const StringToken& token) {
        const Level& level = levels_[depth_ - 1];
        if (level.first == first_) return;
        past_ = first_;  // the value before may have been too deep to be looked into
        const std::string_view name = decode(token);
        const bool is_plain = token.plain() || has_plain_bytes(name);
        for (uint32_t i = level.first; i < first_; ++i) {
            const PathTree::Node& node = tree_.nodes_[nodes_[i]];
            const PathTree::Found found = PathTree::find(node, name, is_plain);
            is_clear_ = is_clear_ && !found.is_nearly_one;
            push(found.node);
            push(node.any);
        }
    }
    void scalar(ValueKind kind, const char* begin, const char* end, const StringToken& token) {
        begin_value();
        if (past_ == first_) return;
        if (has_tests()) run_tests(seen(kind, std::string_view(begin, static_cast<size_t>(end - begin)), token));
        past_ = first_;
    }
    void close(bool, const char*) { past_ = first_ = levels_[--depth_].first; }

    bool is_clear() const { return is_clear_; }

  private:
    struct Level {
        uint32_t first;  // of the container's nodes in nodes_; they end where its children's begin
        int64_t next;    // element
        bool object;
    };

    // The nodes of an object's member were found with its key.
    void begin_value() {
        if (depth_ == 0) return;
        Level& level = levels_[depth_ - 1];
        if (level.object || level.first == first_) return;
        const int64_t index = level.next++;
        for (uint32_t i = level.first; i < first_; ++i) {
            const PathTree::Node& node = tree_.nodes_[nodes_[i]];
            push(node.any);
            push(node.element);
            for (const auto& [at, child] : node.indices) {
                if (at == index) push(child);
            }
        }
    }
    void push(uint32_t node) {
        if (node == PathTree::kNone) return;
        assert(past_ < tree_.nodes_.size());
        nodes_[past_++] = node;
    }
    bool has_tests() const {
        return std::any_of(nodes_ + first_, nodes_ + past_, [this](uint32_t node) { return !tree_.nodes_[node].tests.empty(); });
    }
    static SeenValue seen(ValueKind kind, std::string_view text, const StringToken& token) {
        if (kind == ValueKind::string) return {kind, decode(token)};
        const bool is_rounded = kind == ValueKind::number && text.find_first_of(".eE") != text.npos;
        return {kind, text, is_rounded ? std::optional(nearest_double(text)) : std::nullopt};
    }
    void run_tests(const SeenValue& value) {
        for (uint32_t i = first_; i < past_; ++i) {
            for (const PathTree::Test& test : tree_.nodes_[nodes_[i]].tests) {
                uint8_t& met = met_[test.condition];
                if (met) continue;
                const Condition& condition = conditions_[test.condition];
                is_clear_ = is_clear_ && condition.is_clear(value);
                met = test.is_element ? condition.is_met_by_element(value) : condition.is_met_by(value);
            }
        }
    }

    const PathTree& tree_;
    const std::vector<Condition>& conditions_;
    std::vector<uint8_t>& met_;
    bool is_clear_ = true;
    uint32_t* nodes_;                // scratch.nodes
    uint32_t first_ = 0, past_ = 0;  // the nodes of the value that is being read
    size_t depth_ = 0;
    std::array<Level, kJsonDepthMax> levels_;
};

uint32_t PathTree::hash(std::string_view name) {
    uint32_t head = 0, tail = 0;
    // Lengths that are known when this is compiled: else each copy is a call.
    if (name.size() >= sizeof head) {
        memcpy(&head, name.data(), sizeof head);
        memcpy(&tail, name.data() + name.size() - sizeof tail, sizeof tail);
    } else {
        for (const char c : name) head = head << 8 | static_cast<unsigned char>(c);
    }
    constexpr uint32_t kCase = 0x20202020;
    head |= kCase;
    tail |= kCase;
    const uint64_t mixed = (uint64_t{head} << 32 | tail) * 0x9e3779b97f4a7c15 + name.size() * 0xff51afd7ed558ccd;
    return static_cast<uint32_t>(mixed >> 32);
}

PathTree::Found PathTree::find(const Node& node, std::string_view name, bool is_plain) {
    Found found;
    // Of plain letters only those in another case are nearly the same: as long, and with the same hash.
    const auto look_at = [&](const Child& child) {
        if (child.name.size() != name.size()) return false;
        if (memcmp(child.name.data(), name.data(), name.size()) == 0) {
            found = {child.node, false};
            return true;
        }
        found.is_nearly_one = found.is_nearly_one || is_lenient_match(name, {child.name});
        return false;
    };
    if (node.table.empty()) {
        if (std::any_of(node.names.begin(), node.names.end(), look_at)) return found;
    } else {
        const size_t mask = node.table.size() - 1;
        const uint32_t wanted = hash(name);
        for (size_t at = wanted & mask; node.table[at].child != 0; at = (at + 1) & mask) {
            if (node.table[at].hash == wanted && look_at(node.names[node.table[at].child - 1])) return found;
        }
    }
    if (!is_plain || !node.has_plain_names) found.is_nearly_one = is_nearly_one(node, name);
    return found;
}

bool PathTree::is_nearly_one(const Node& node, std::string_view name) {
    return std::any_of(node.names.begin(), node.names.end(),
                       [&](const Child& child) { return is_lenient_match(name, {child.name}); });
}

// At most half full, so that a search ends soon.
void PathTree::fill_table(Node& node) {
    size_t size = 2 * kComparedNamesMax;
    while (size < 2 * node.names.size() + 2) size *= 2;
    node.table.assign(size, {0, 0});
    for (uint32_t i = 0; i < node.names.size(); ++i) {
        const uint32_t hashed = hash(node.names[i].name);
        size_t at = hashed & (size - 1);
        while (node.table[at].child != 0) at = (at + 1) & (size - 1);
        node.table[at] = {hashed, i + 1};
    }
}

uint32_t PathTree::named_child(uint32_t parent, const std::string& name) {
    const bool is_plain = has_plain_bytes(name);
    if (const Found known = find(nodes_[parent], name, is_plain); known.node != kNone) return known.node;
    const auto made = static_cast<uint32_t>(nodes_.size());
    nodes_.emplace_back();
    Node& node = nodes_[parent];
    node.names.push_back({name, made});
    node.has_plain_names = node.has_plain_names && is_plain;
    if (node.names.size() > kComparedNamesMax) fill_table(node);
    if (const int64_t index = element_index(name); index >= 0) node.indices.emplace_back(index, made);
    return made;
}

void PathTree::add(const std::vector<PathStep>& steps, uint32_t condition, Operator op) {
    uint32_t at = 0;
    const auto child = [&](uint32_t Node::*place) {
        if (nodes_[at].*place == kNone) {
            const auto made = static_cast<uint32_t>(nodes_.size());
            nodes_.emplace_back();
            nodes_[at].*place = made;
        }
        return nodes_[at].*place;
    };
    for (const PathStep& step : steps) at = step.any ? child(&Node::any) : named_child(at, step.name);
    nodes_[at].tests.push_back({condition, false});
    if (op != Operator::contains) return;
    at = child(&Node::element);
    nodes_[at].tests.push_back({condition, true});
}

bool PathTree::walk(std::string_view text, const std::vector<Condition>& conditions, std::vector<uint8_t>& met) const {
    Scanner scanner(text, JsonText::document);
    PathWalk visitor(*this, conditions, met);
    static_cast<void>(Walk(scanner, visitor).value(scanner.space(scanner.begin())));
    return visitor.is_clear();
}

}  // namespace callgate
