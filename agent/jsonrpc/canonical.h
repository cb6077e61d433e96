// The canonical form of a JSON value: two texts that say the same have the same one, and no others have. As
// RFC 8785, but that numbers stay exact: members sorted by their keys (code points), no white space, the
// shortest escapes.
//
//   {"b": 1.50, "a": "\u0041\/"}   ->  {"a":"A/","b":15e-1}
//   1.0, 1 and 10e-1  ->  1;   100  ->  1e2;   9007199254740993 and 9007199254740992 differ
//
// For what is compared and hashed; a server never sees it.
#pragma once
#include <string>
#include <string_view>

namespace callgate {

// Appends the form of `json`, a value of a message that was parsed; false, and nothing appended, where it
// cannot be read.
bool append_canonical(std::string& out, std::string_view json);
// The same of a number by the grammar of RFC 8259: an integer without zeros at its end, "e" and a power of
// ten where that is not 0. One with an exponent of more than 13 digits stays as it is.
void append_canonical_number(std::string& out, std::string_view token);

}  // namespace callgate
