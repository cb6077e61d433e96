// Notes of what is added to a PendingTable and taken out of it, short enough to be written for each request.
//
//   note: 4 bytes length of the rest, 1 byte kind ('+' or '-'), numbers of 8 bytes, texts behind 4 bytes of
//   length, little endian
//
//   append_added(notes, {"7", …});  append_taken(notes, "7");  apply_notes(notes, pending)  ->  pending is as
//   it was
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "enforce/gate_state.h"

namespace callgate {

void append_added(std::string& notes, const PendingState& request);
// The only one with this id.
void append_taken(std::string& notes, std::string_view id_key);
// An error where those are no notes; `pending` is then of no use.
Status apply_notes(std::string_view notes, std::vector<PendingState>& pending);

}  // namespace callgate
