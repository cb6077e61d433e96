// Properties of a stream of requests:
//  - what callgate reads does not depend on the chunks;
//  - Boost.Beast's parser, which shares nothing with ours, ends every accepted request at the same byte and reads the
//    same method, target and body;
//  - an accepted head that is written canonically parses to the same request, its end-to-end fields in their order, is
//    written the same again, and with the body after it is that one request in a stream.
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/emit.h"
#include "property.h"
#include "request_trace.h"
#include "second_reader.h"

namespace {

using callgate::http_test::Trace;
using callgate::http_test::TracedRequest;

constexpr const char* kTarget = "http_request";
constexpr size_t kUnsplit = size_t{1} << 30;

void agree_with_beast(const TracedRequest& request, std::string_view raw_with_trailers) {
    const std::string raw = request.framing == "chunked" ? without_trailers(raw_with_trailers) : std::string(raw_with_trailers);
    beast::http::request_parser<beast::http::string_body> parser;
    const BeastReading reading = read_with_beast(parser, raw);
    hold(!reading.error, kTarget, "the second reader refuses it");
    hold(parser.is_done() && reading.used == raw.size(), kTarget, "the second reader ends it elsewhere");
    const auto& message = parser.get();
    hold(message.method_string() == beast::string_view(request.method), kTarget, "method");
    hold(message.target() == beast::string_view(request.target), kTarget, "target");
    hold(message.body() == request.body, kTarget, "body");
}

using FieldList = std::vector<std::pair<std::string, std::string>>;

std::string lower_case(std::string_view text) {
    std::string lower(text);
    for (char& byte : lower) byte = static_cast<char>(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);
    return lower;
}

// The fields that must arrive: said once more, in another way than emit.cpp does.
FieldList end_to_end(const callgate::RequestHead& head) {
    std::set<std::string> dropped{
        "connection",       "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect", "keep-alive",
        "proxy-connection", "http2-settings", "accept-encoding"};
    for (const callgate::Field& field : head.fields.all()) {
        if (lower_case(field.name) != "connection") continue;
        std::string word;
        for (const char byte : lower_case(field.value) + ",") {
            if (byte == ',')
                dropped.insert(std::exchange(word, {}));
            else if (byte != ' ' && byte != '\t')
                word.push_back(byte);
        }
    }
    FieldList list;
    for (const callgate::Field& field : head.fields.all()) {
        if (!dropped.contains(lower_case(field.name))) list.emplace_back(field.name, field.value);
    }
    return list;
}

void write_canonically(const TracedRequest& request, std::string_view raw) {
    const std::string text(raw.substr(0, raw.find("\r\n\r\n") + 4));
    callgate::RequestHead head, again;
    hold(head.parse(text).ok(), kTarget, "an accepted head is accepted");
    callgate::RequestRewrite rewrite;
    if (request.framing != "none") rewrite.content_length = request.body.size();
    std::string out;
    callgate::append_request_head(out, head, rewrite);
#ifdef CANARY
    if (head.fields.all().size() == 5 && !head.keep_alive) out.replace(out.find(' '), 1, "\t");
#endif
    hold(again.parse(out).ok(), kTarget, "what is written is accepted");
    hold(again.method == head.method && again.path == head.path && again.query == head.query, kTarget, "request line");
    hold(again.minor_version == head.minor_version && again.host == head.host, kTarget, "version or host");
    hold(again.keep_alive == head.keep_alive && !again.expect_continue && !again.wants_upgrade, kTarget, "connection");
    hold(again.framing.kind ==
                 (request.framing == "none" ? callgate::BodyFraming::Kind::none : callgate::BodyFraming::Kind::length) &&
             again.framing.length == request.body.size(),
         kTarget, "framing");
    hold(again.fields.find(callgate::KnownField::accept_encoding).is("identity"), kTarget, "accept-encoding");
    hold(end_to_end(again) == end_to_end(head), kTarget, "fields");
    std::string twice;
    callgate::append_request_head(twice, again, rewrite);
    hold(twice == out, kTarget, "written twice");
    const Trace sent = callgate::http_test::trace_requests(out + request.body, kUnsplit);
    hold(sent.requests.size() == 1 && sent.end == "complete", kTarget, "one request stays one");
    hold(sent.requests[0].method == request.method && sent.requests[0].body == request.body, kTarget, "what is sent");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const std::string_view stream(reinterpret_cast<const char*>(data), size);
    const Trace trace = callgate::http_test::trace_requests(stream, size);
    for (const size_t chunk_bytes : {size_t{1}, size_t{3}, size_t{7}, 1 + size / 2})
        hold(callgate::http_test::trace_requests(stream, chunk_bytes) == trace, kTarget, "the chunks change it");
    for (const TracedRequest& request : trace.requests) {
        const std::string_view raw = stream.substr(request.begin, request.end - request.begin);
        agree_with_beast(request, raw);
        write_canonically(request, raw);
    }
    return 0;
}
