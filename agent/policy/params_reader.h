// Reads what a method's params say of names: a text at a fixed place, and the calls that a carrier of several holds.
//
//   text_at({"ref":{"name":"greet"}}, {"ref","name"})                                   ->  "greet"
//   text_at({"ref":{"Name":"greet"}}, {"ref","name"})                                   ->  "", and not clear
//   read_calls({"calls":[{"name":"a"},{"name":"b","arguments":{}}]}, calls.*.name, …)    ->  each("a", ""), each("b", "{}")
#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/call.h"
#include "policy/condition_path.h"

namespace callgate {

struct FoundText {
    std::string_view text;  // decoded; "" where there is none
    // Else readers may find another one: a key on the way is nearly the one that is meant, or the value is no text. A null is
    // taken for nothing.
    bool is_clear = true;
};
// The text at `path`, decoded into `scratch`.
FoundText text_at(std::string_view params, std::span<const std::string_view> path, std::string& scratch);

// Calls each(call) for every call; the call is valid until `each` returns, and where it returns false no more is read. `name`:
// the path of a call's name; its arguments are the member "arguments" beside that. False where anything at the path is not as it
// must be for every reader: no call at all, a call without a name that is a text, arguments that are no object, a name in another
// spelling that some reader may accept, more than kBatchMessagesMax calls.
bool read_calls(std::string_view params, const std::vector<PathStep>& name, const std::function<bool(const Call&)>& each);

}  // namespace callgate
