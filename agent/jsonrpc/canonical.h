// The canonical form of a JSON value: two texts that say the same have the same one, and no others have. As
// RFC 8785, but that numbers stay exact: members sorted by their keys (code points), no white space, the
// shortest escapes.
//
//   {"b": 1.50, "a": "\u0041\/"}   ->  {"a":"A/","b":15e-1}
//   1.0, 1 and 10e-1  ->  1;   100  ->  1e2;   9007199254740993 and 9007199254740992 differ
//
// For what is compared and hashed; a server never sees it.
#pragma once
#include <span>
#include <string>
#include <string_view>

namespace callgate {

// A member of the outermost object; with `inner` a member of that, which is an object itself.
struct OmittedMember {
    std::string_view outer, inner = {};
};

// Appends the form of `json`, a value of a message that was parsed; false, and nothing appended, where it
// cannot be read. Members that are omitted are as if they were not there; so is the object of which nothing else is left.
//   {"a":1,"_meta":{"x":2}} without _meta/x  ->  {"a":1}
bool append_canonical(std::string& out, std::string_view json, std::span<const OmittedMember> omitted = {});
// The same of a number by the grammar of RFC 8259: an integer without zeros at its end, "e" and a power of
// ten where that is not 0. One with an exponent of more than 13 digits stays as it is.
void append_canonical_number(std::string& out, std::string_view token);

}  // namespace callgate
