// What a stream of requests says to callgate: every request with its body, and how the stream ends. Fed in any chunks.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "http/body_reader.h"
#include "http/head_framer.h"
#include "http/request_head.h"

namespace callgate::http_test {

struct TracedRequest {
    std::string method, target, host, framing, body;
    size_t begin = 0, end = 0;  // in the stream, body included
    bool operator==(const TracedRequest&) const = default;
};

struct Trace {
    std::vector<TracedRequest> requests;  // only those whose body is complete
    std::string end;                      // "complete", "incomplete", "refused", "not_http", "tls", "http2"
    HttpProblem problem;                  // offset in the stream
    bool operator==(const Trace&) const = default;
};

inline std::string name_of(BodyFraming::Kind kind) {
    switch (kind) {
        case BodyFraming::Kind::none: return "none";
        case BodyFraming::Kind::length: return "length";
        case BodyFraming::Kind::chunked: return "chunked";
        case BodyFraming::Kind::until_close: return "until_close";
        case BodyFraming::Kind::tunnel: return "tunnel";
    }
    return "";
}

class RequestStream {
  public:
    void feed(std::string_view chunk) {
        while (!chunk.empty() && trace_.end.empty()) {
            if (in_body_)
                feed_body(chunk);
            else
                feed_head(chunk);
        }
    }
    Trace finish() {
        if (trace_.end.empty()) trace_.end = !in_body_ && framer_.is_empty() ? "complete" : "incomplete";
        return trace_;
    }

  private:
    void feed_head(std::string_view& chunk) {
        const size_t had = head_.size();
        head_.append(chunk);
        switch (framer_.scan(head_)) {
            case HeadFramer::Found::more: chunk = {}; return;
            case HeadFramer::Found::refused: return refuse(framer_.problem());
            case HeadFramer::Found::not_http: return stop("not_http");
            case HeadFramer::Found::tls: return stop("tls");
            case HeadFramer::Found::http2: return stop("http2");
            case HeadFramer::Found::complete: break;
        }
        chunk.remove_prefix(framer_.end() - had);
        RequestHead head;
        HttpProblem problem = head.parse(std::string_view(head_).substr(framer_.begin(), framer_.end() - framer_.begin()));
        problem.offset += framer_.begin();
        if (!problem.ok()) return refuse(problem);
        current_ = {std::string(head.method),
                    std::string(head.target),
                    std::string(head.host),
                    name_of(head.framing.kind),
                    "",
                    position_ + framer_.begin(),
                    0};
        position_ += framer_.end();
        body_ = BodyReader(head.framing, BodyReader::Extensions::refuse);
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
            if (piece.step == BodyReader::Step::refused) return refuse(body_.problem());
            if (piece.step == BodyReader::Step::end) break;
        }
        position_ += body_.raw_bytes();
        current_.end = position_;
        trace_.requests.push_back(current_);
        in_body_ = false;
    }

    void refuse(HttpProblem problem) {
        problem.offset += position_;
        trace_.problem = problem;
        stop("refused");
    }
    void stop(std::string end) { trace_.end = std::move(end); }

    HeadFramer framer_{HeadFramer::Side::request};
    BodyReader body_;
    bool in_body_ = false;
    std::string head_;
    size_t position_ = 0;  // where the head or body in hand begins in the stream
    TracedRequest current_;
    Trace trace_;
};

inline Trace trace_requests(std::string_view stream, size_t chunk_bytes) {
    RequestStream requests;
    for (size_t at = 0; at < stream.size(); at += chunk_bytes) {
        // A copy on the heap: a view that outlives its chunk is seen by the address sanitizer.
        requests.feed(std::string(stream.substr(at, chunk_bytes)));
    }
    return requests.finish();
}

inline Trace trace_split(std::string_view stream, size_t split) {
    RequestStream requests;
    requests.feed(std::string(stream.substr(0, split)));
    requests.feed(std::string(stream.substr(split)));
    return requests.finish();
}

}  // namespace callgate::http_test
