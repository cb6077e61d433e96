// Properties of a stream of responses: what callgate reads does not depend on the chunks; Boost.Beast's parser ends
// every accepted response at the same byte and reads the same status and body, as does a plain reading of its chunks; a
// head that is written with another framing parses to that. The first byte of the input chooses the request's method,
// the rest is the stream.
#include <string>
#include <string_view>
#include <vector>

#include "http/body_reader.h"
#include "http/emit.h"
#include "http/head_framer.h"
#include "property.h"
#include "second_reader.h"

namespace {

using callgate::BodyFraming;
using callgate::BodyReader;
using callgate::HeadFramer;
using callgate::HttpProblem;
using callgate::ResponseHead;

constexpr const char* kTarget = "http_response";
constexpr std::string_view kMethods[] = {"POST", "GET", "HEAD", "CONNECT"};

struct TracedResponse {
    int status = 0;
    BodyFraming framing;
    std::string body;
    size_t begin = 0, end = 0;
    bool operator==(const TracedResponse&) const = default;
};

struct Trace {
    std::vector<TracedResponse> responses;
    HttpProblem problem;
    bool operator==(const Trace&) const = default;
};

// Reads until a problem, a body that only the end of the stream ends, or the end of the stream.
class ResponseStream {
  public:
    explicit ResponseStream(std::string_view method) : method_(method) {}

    void feed(std::string_view chunk) {
        while (!chunk.empty() && !stopped_) {
            if (in_body_)
                feed_body(chunk);
            else
                feed_head(chunk);
        }
    }
    Trace finish() {
        if (!stopped_ && in_body_) end_of_stream();
        return trace_;
    }

  private:
    void feed_head(std::string_view& chunk) {
        const size_t had = head_.size();
        head_.append(chunk);
        const HeadFramer::Found found = framer_.scan(head_);
        if (found == HeadFramer::Found::more) {
            chunk = {};
            return;
        }
        if (found != HeadFramer::Found::complete) return stop(framer_.problem());
        chunk.remove_prefix(framer_.end() - had);
        ResponseHead head;
        const HttpProblem problem = head.parse(std::string_view(head_).substr(0, framer_.end()), method_);
        if (!problem.ok()) return stop(problem);
        current_ = {head.status, head.framing, "", position_, 0};
        position_ += framer_.end();
        body_ = BodyReader(head.framing, BodyReader::Extensions::skip);
        in_body_ = true;
        head_.clear();
        framer_.reset();
        feed_body(chunk);
    }
    void feed_body(std::string_view& chunk) {
        for (;;) {
            const BodyReader::Piece piece = body_.next(chunk);
            chunk.remove_prefix(piece.raw_bytes);
            current_.body.append(piece.payload);
            if (piece.step == BodyReader::Step::more) return;
            if (piece.step == BodyReader::Step::refused) return stop(body_.problem());
            if (piece.step == BodyReader::Step::end) break;
        }
        complete();
    }
    void end_of_stream() {
        if (body_.finish())
            complete();
        else
            stop(body_.problem());
    }
    void complete() {
        position_ += body_.raw_bytes();
        current_.end = position_;
        trace_.responses.push_back(current_);
        in_body_ = false;
    }
    void stop(HttpProblem problem) {
        trace_.problem = {problem.refusal, problem.offset + position_};
        stopped_ = true;
    }

    std::string_view method_;
    HeadFramer framer_{HeadFramer::Side::response};
    BodyReader body_;
    bool in_body_ = false, stopped_ = false;
    std::string head_;
    size_t position_ = 0;
    TracedResponse current_;
    Trace trace_;
};

Trace trace_responses(std::string_view method, std::string_view stream, size_t chunk_bytes) {
    ResponseStream responses(method);
    for (size_t at = 0; at < stream.size(); at += chunk_bytes) responses.feed(std::string(stream.substr(at, chunk_bytes)));
    return responses.finish();
}

void agree_with_beast(const TracedResponse& response, std::string raw, bool to_head) {
    // Beast knows no request, and so no tunnel.
    if (response.framing.kind == BodyFraming::Kind::tunnel) return;
    if (response.framing.kind == BodyFraming::Kind::chunked) raw = without_trailers(raw);
    // Beast insists on the space that servers without a reason leave out.
    constexpr size_t kStatusEnd = 12;
    if (raw[kStatusEnd] == '\r') raw.insert(kStatusEnd, 1, ' ');
    beast::http::response_parser<beast::http::string_body> parser;
    parser.skip(to_head);
    BeastReading reading = read_with_beast(parser, raw);
    if (response.framing.kind == BodyFraming::Kind::until_close && !reading.error) parser.put_eof(reading.error);
    if (reading.error == beast::http::error::bad_chunk_extension) return;  // skipped here whatever it says
    hold(!reading.error, kTarget, "the second reader refuses it");
    hold(parser.is_done() && reading.used == raw.size(), kTarget, "the second reader ends it elsewhere");
    hold(static_cast<int>(parser.get().result_int()) == response.status, kTarget, "status");
    hold(parser.get().body() == response.body, kTarget, "body");
}

void agree_with_plain_reading(const TracedResponse& response, std::string_view raw) {
    const std::string_view body = raw.substr(raw.find("\r\n\r\n") + 4);
    if (response.framing.kind != BodyFraming::Kind::chunked) return;
    const PlainChunks chunks = plain_chunks(body);
    hold(chunks.ends_at == body.size() && chunks.body == response.body, kTarget, "the chunks are others");
}

void write_again(std::string_view method, const TracedResponse& response, std::string_view raw) {
    const std::string text(raw.substr(0, raw.find("\r\n\r\n") + 4));
    ResponseHead head, again;
    hold(head.parse(text, method).ok(), kTarget, "an accepted head is accepted");
    if (head.is_interim() || head.framing.kind == BodyFraming::Kind::none || head.framing.kind == BodyFraming::Kind::tunnel)
        return;
    for (const BodyFraming& framing :
         {BodyFraming{BodyFraming::Kind::length, response.body.size()}, BodyFraming{BodyFraming::Kind::chunked, 0},
          BodyFraming{BodyFraming::Kind::until_close, 0}}) {
        std::string out;
        callgate::append_response_head(out, head, {.framing = framing, .keep_alive = head.keep_alive});
#ifdef CANARY
        if (response.body.size() == 4 && head.fields.all()[0].value.size() == 2) out[out.find('\r')] = '\n';
#endif
        hold(again.parse(out, method).ok(), kTarget, "what is written is accepted");
        hold(again.status == head.status && again.reason == head.reason, kTarget, "status line");
        hold(again.framing == framing, kTarget, "framing");
        const bool until_close = framing.kind == BodyFraming::Kind::until_close;
        hold(again.keep_alive == (head.keep_alive && !until_close), kTarget, "connection");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) return 0;
    const std::string_view method = kMethods[data[0] % std::size(kMethods)];
    const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
    const Trace trace = trace_responses(method, stream, size);
    for (const size_t chunk_bytes : {size_t{1}, size_t{3}, size_t{7}, 1 + size / 2})
        hold(trace_responses(method, stream, chunk_bytes) == trace, kTarget, "the chunks change it");
    for (const TracedResponse& response : trace.responses) {
        const std::string_view raw = stream.substr(response.begin, response.end - response.begin);
        agree_with_beast(response, std::string(raw), method == "HEAD");
        agree_with_plain_reading(response, raw);
        write_again(method, response, raw);
    }
    return 0;
}
