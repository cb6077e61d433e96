// PathTree: every path that the conditions of one tool look at, so that one walk over a JSON text answers all of them.
//
//   paths a.b (condition 0), a.* (condition 1) over {"a":{"b":7}}  ->  the 7 is shown to conditions 0 and 1
//
// A condition is met when one of the values at its path meets it. Walking allocates nothing once the thread's memory has
// grown to the largest tool's.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/condition.h"

namespace callgate {

class PathTree {
  public:
    // `condition`: index in the vector that walk() is given.
    void add(const std::vector<PathStep>& steps, uint32_t condition, Operator op);
    bool empty() const { return nodes_.size() < 2; }
    // Sets met[i] for each condition that a value of `text` meets. `text`: one JSON value, of a message that was parsed.
    // False where a member's name is not one that a condition looks at, but could be taken for one by a lenient reader
    // ("Amount"), or a number is not what the server's reader makes of it: then nobody knows what the server will see.
    bool walk(std::string_view text, const std::vector<Condition>& conditions, std::vector<uint8_t>& met) const;

  private:
    friend class PathWalk;
    static constexpr uint32_t kNone = 0;  // the root is nobody's child
    struct Test {
        uint32_t condition;
        bool is_element;  // of `contains`: this is an element of the array at the path
    };
    struct Child {
        std::string name;
        uint32_t node;
    };
    struct Slot {
        uint32_t hash;
        uint32_t child;  // index + 1 into names; 0: empty
    };
    struct Found {
        uint32_t node = kNone;
        bool is_nearly_one = false;  // where it is none
    };
    struct Node {
        std::vector<Child> names;                           // few are compared one by one, many are found by table
        std::vector<Slot> table;                            // by hash; its size is a power of two
        bool has_plain_names = true;                        // of ASCII, without a NUL
        std::vector<std::pair<int64_t, uint32_t>> indices;  // of array elements
        uint32_t any = kNone;                               // elements and members
        uint32_t element = kNone;                           // elements only
        std::vector<Test> tests;
    };
    static uint32_t hash(std::string_view name);  // whatever the case of its letters
    uint32_t named_child(uint32_t parent, const std::string& name);
    void fill_table(Node& node);
    // `is_plain`: the name is of ASCII, without a NUL.
    static Found find(const Node& node, std::string_view name, bool is_plain);
    static bool is_nearly_one(const Node& node, std::string_view name);

    std::vector<Node> nodes_{1};
};

}  // namespace callgate
