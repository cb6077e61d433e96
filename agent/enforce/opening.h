// Opening: the part of a client's stream before it is known to be MCP.
//
// A server that a policy names is taken over before it has said what it speaks. What cannot be a JSON-RPC message (a
// banner, a prompt) passes; the first message decides. Another protocol (LSP, ACP, Codex app-server) passes too, one
// whole message at a time, and each is looked at: the first MCP message ends the opening and is judged, so claiming
// to be something else first gains a client nothing. A message of a method that the policy speaks of ends it, too, whatever
// protocol has that. Only the server's own answer confirms that it really speaks another protocol; then it can be handed back.
//
//   client `{"id":0,"method":"initialize",…"protocolVersion":1…}`   -> passes, is_foreign()
//   server `{"id":0,"result":{"protocolVersion":1,…}}`              -> server_confirms() is true: hand back
//   client `{…"method":"tools/call"…}` instead                      -> decided: everything from here is judged
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "enforce/gate_state.h"
#include "jsonrpc/classify.h"
#include "jsonrpc/message.h"
#include "policy/policy.h"

namespace callgate {

class Opening {
  public:
    enum class Start {
        fresh,    // nothing was read before
        midway,   // adopted while running: the first bytes may be the end of a line that began before
        decided,  // the first bytes have been found to be MCP already
    };
    // `certain`: identity says it is an MCP server; JSON that is no message is then judged (and refused), not passed.
    Opening(Start start, bool certain, size_t frame_bytes_max, std::shared_ptr<const Policy> policy);
    // From the next message on.
    void use(std::shared_ptr<const Policy> policy) { policy_ = std::move(policy); }

    bool decided() const { return state_ == State::decided; }
    // Part of a message has come, and is kept until all of it has.
    bool holds_part() const { return !held_.empty(); }
    bool is_foreign() const { return state_ == State::foreign_lines || state_ == State::foreign_headers; }

    // Appends what may pass to `pass`. Once decided() the bytes to be judged from there on are in `judge`.
    void feed(std::string_view bytes, std::string& pass, std::string& judge);
    // End of file: an unfinished line that looks like JSON is judged, anything else passes.
    void finish(std::string& pass, std::string& judge);
    // The first bytes the server sends while the client's stream is foreign.
    bool server_confirms(std::string_view line);

    OpeningState save() const;
    // False where no opening was ever in such a state.
    bool restore(OpeningState state);

  private:
    enum class State { tail, sniff, foreign_lines, foreign_headers, decided };
    size_t pass_tail(std::string_view bytes, std::string& pass);
    std::string_view left() const;
    bool may_begin_call(std::string_view left);
    bool take_line(std::string& pass);
    bool take_headed_message(std::string& pass);
    void step(std::string& pass);
    void drop_passed_header();
    Protocol classify(std::string_view bytes) const;
    bool hides_a_call(std::string_view line);
    bool has_a_call_for_lines(std::string_view body);
    void remember_foreign_call(std::string_view line);

    State state_;
    bool certain_;
    size_t frame_bytes_max_;
    std::shared_ptr<const Policy> policy_;
    bool tail_open_ = false;       // part of the line that began before has passed
    std::string foreign_id_;       // of the client's last call of a method that MCP does not have
    std::string held_;             // not passed yet
    size_t taken_ = 0;             // in step(): that much of held_ has passed
    size_t searched_ = 0;          // what is left has no LF before this offset
    size_t no_return_before_ = 0;  // … and no CR before this one
    std::string line_passed_;      // the part of the current line that has passed already (no brace in it)
};

}  // namespace callgate
