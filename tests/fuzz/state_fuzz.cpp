// Properties: whatever lies where another agent's state is expected, reading it ends in an error or in a state; and what was read
// is written, and read again, as the same.
//
// The input is read as a whole blob (of a session, and of HTTP), as what is in one whose checksum is right, as a gate's state in
// a ledger, and as the notes behind that.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "enforce/pending_notes.h"
#include "property.h"
#include "restart/http_state.h"
#include "restart/session_state.h"
#include "restart/state_blob.h"

namespace {

using callgate::GateState;
using callgate::PendingState;
using callgate::SessionState;
using Json = nlohmann::json;

// The frame that encode_state() puts around a payload, with the right length and checksum.
std::string blob_of(std::string_view payload) {
    uint64_t sum = 0xcbf29ce484222325ull;
    for (const unsigned char byte : payload) sum = (sum ^ byte) * 0x100000001b3ull;
    std::string blob = "CGSTATE\n";
    const auto put = [&blob](uint64_t number, int bytes) {
        for (int i = 0; i < bytes; ++i) blob += static_cast<char>(number >> (8 * i) & 0xff);
    };
    put(callgate::kStateFormat, 4);
    put(0, 4);
    put(payload.size(), 8);
    put(sum, 8);
    return blob.append(payload);
}

void read_session(const Json& state) {
    const auto session = callgate::session_from(state);
    if (!session) return;
    const Json written = callgate::to_json(session.value());
    const auto again = callgate::session_from(written);
    hold(again.ok(), "state", "a session that was written cannot be read");
    hold(callgate::to_json(again.value()) == written, "state", "a session is another one when it is read again");
}

template <typename Read>
void read_http(const Json& state, const Read& read) {
    const auto saved = read(state);
    if (!saved) return;
    const Json written = callgate::to_json(saved.value());
    const auto again = read(written);
    hold(again.ok() && callgate::to_json(again.value()) == written, "state", "one of HTTP is another one when it is read again");
}

void read_blob(std::string_view blob) {
    const auto state = callgate::decode_state(blob);
    if (!state) return;
    const std::string written = callgate::encode_state(state.value());
    const auto again = callgate::decode_state(written);
    hold(again.ok() && callgate::encode_state(again.value()) == written, "state", "a blob is another one when it is read again");
    read_session(state.value());
    read_http(state.value(), callgate::http_connection_from);
    read_http(state.value(), callgate::http_sessions_from);
}

void read_gate(std::string_view text) {
    static const auto form = callgate::ledger_form();
    const auto gate = form.read(text);
    if (!gate) return;
    std::string written = form.write(gate.value());
#ifdef CANARY
    if (gate.value().client_skipped > 0 && !gate.value().held.empty()) written.pop_back();
#endif
    const auto again = form.read(written);
    hold(again.ok() && form.write(again.value()) == written, "state", "a gate is another one when it is read again");
}

std::string notes_of(const std::vector<PendingState>& pending) {
    std::string notes;
    for (const PendingState& each : pending) callgate::append_added(notes, each);
    return notes;
}

void read_notes(std::string_view text) {
    std::vector<PendingState> pending, again;
    if (!callgate::apply_notes(text, pending)) return;
    const std::string written = notes_of(pending);
    hold(callgate::apply_notes(written, again).ok() && notes_of(again) == written, "state", "notes are others when read again");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    read_blob(input);
    read_blob(blob_of(input));
    read_gate(input);
    read_notes(input);
    return 0;
}
