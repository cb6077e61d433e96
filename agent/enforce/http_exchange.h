// HttpExchange: one request of a connection and the response to it, as far as they have come.
//
//   request   deciding -> collecting -> complete     a body that may be MCP: held until it has been judged
//             passing -> complete                    anything else: goes on as it comes
//             discarding -> complete                 to be refused, but where the request ends is known
//   response  waiting -> passing | collecting | events -> complete;   untracked: until the server closes
//
// One object is used again for every exchange of its connection, with its memory.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "enforce/http_sessions.h"
#include "http/body_reader.h"
#include "http/request_head.h"
#include "http/request_line_finder.h"
#include "http/response_head.h"

namespace callgate {

struct HttpExchange {
    enum class Request : uint8_t { deciding, collecting, discarding, passing, complete };
    enum class Response : uint8_t { waiting, passing, collecting, events, untracked, complete };

    bool in_hand = false;
    uint64_t number = 0;  // within the agent

    Request request = Request::complete;
    std::string head_bytes;  // what `head` points into
    RequestHead head;
    BodyReader body;
    RequestLineFinder hidden_request;  // in a body that is not judged
    std::string raw;                   // of the body while it is held: as it came
    std::string text;                  // its content, where that is something else (chunked, compressed)
    bool governed = false;             // the policy's path covers it
    bool claims_mcp = false;           // by its fields
    bool continue_sent = false;
    bool body_decoded = false;  // it was compressed; `text` is not
    int refuse_status = 0;      // once it is complete; 0: it is judged
    std::string refuse_reason;

    bool sent = false;           // some of it has gone to the server
    bool canonical = false;      // as a request of ours: it was judged, or asks for events
    bool has_messages = false;   // JSON-RPC
    bool opens_session = false;  // an initialize whose session has no name yet
    std::string session_end;     // why its session is over with it; empty: it is not
    HttpSessions::Pointer session;
    std::vector<std::string> waiting_ids;  // keys of its requests that have no answer yet

    Response response = Response::waiting;
    std::string answer_bytes;  // what `answer` points into
    ResponseHead answer;
    BodyReader answer_body;
    std::string answer_raw, answer_text;  // of a JSON response while it is held
    bool answer_begun = false;            // something of it has gone to the client
    bool chunks_out = false;              // events go to the client in chunks
    bool is_resumable = false;            // an event had an id: the rest may be fetched over another connection

    bool has_length_body() const { return head.framing.kind == BodyFraming::Kind::length; }
    std::string_view content() const { return has_length_body() && !body_decoded ? raw : text; }
    std::string_view answer_content() const {
        return answer.framing.kind == BodyFraming::Kind::chunked ? answer_text : answer_raw;
    }
    // Where its requests wait for their answers: in HTTP+SSE those come on the session's stream, not in this response.
    uint64_t pending_place() const { return session && session->kind == HttpSessionKind::stream ? 0 : number; }
    void begin(uint64_t its_number);
    void forget_bodies();
};

}  // namespace callgate
