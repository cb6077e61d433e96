#include "enforce/http_exchange.h"

#include "base/limits.h"

namespace callgate {
namespace {

// Memory of a large body is given back; that of an ordinary one is kept for the next.
void empty(std::string& text) {
    text.clear();
    if (text.capacity() > kReadBytes) text.shrink_to_fit();
}

}  // namespace

void HttpExchange::begin(uint64_t its_number) {
    in_hand = true;
    number = its_number;
    request = Request::deciding;
    governed = claims_mcp = continue_sent = body_decoded = false;
    refuse_status = 0;
    refuse_reason.clear();
    sent = canonical = has_messages = opens_session = false;
    session_end.clear();
    hidden_request = RequestLineFinder();
    response = Response::waiting;
    answer_begun = chunks_out = is_resumable = false;
    waiting_ids.clear();
    forget_bodies();
}

void HttpExchange::forget_bodies() {
    for (std::string* each : {&raw, &text, &answer_raw, &answer_text}) empty(*each);
}

}  // namespace callgate
