// Property: what MessageParser accepts, nlohmann::json accepts too, and both read the same method, name, id,
// arguments. What it refuses for another reason than strictness, nlohmann::json refuses too. Offsets lie
// within the line.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "jsonrpc/classify.h"
#include "jsonrpc/message.h"
#include "property.h"

namespace {

using callgate::Message;
using callgate::MessageKind;
using callgate::Refusal;
using Json = nlohmann::json;

void same(bool agree, const char* what) { hold(agree, "message", what); }

bool lies_in(std::string_view part, std::string_view line) {
    return part.empty() || (part.data() >= line.data() && part.data() + part.size() <= line.data() + line.size());
}

std::string text_at(const Json& value, const char* pointer) {
    const Json::json_pointer at(pointer);
    return value.contains(at) && value[at].is_string() ? value[at].get<std::string>() : std::string();
}

Json at_or_null(const Json& value, const char* key) { return value.contains(key) ? value[key] : Json(); }

void check_accepted(const Message& m, std::string_view line) {
    const Json value = Json::parse(line, nullptr, false);
    same(!value.is_discarded() && value.is_object(), "accepted what is no JSON object");
    if (m.kind == MessageKind::response) {
        same(!value.contains("method"), "a response has a method");
        same(m.is_error == value.contains("error"), "error");
        return;
    }
    std::string method(m.method);
#ifdef CANARY
    if (!m.argument_keys.empty() && m.argument_keys[0].size() == 3) method += ' ';
#endif
    same(value.contains("method") && value["method"] == method, "method");
    same(text_at(value, "/params/name") == m.name, "params.name");
    same(text_at(value, "/params/uri") == m.uri, "params.uri");
    same((m.kind == MessageKind::request) == value.contains("id"), "request or notification");
    const Json params = at_or_null(value, "params");
    same((m.params.empty() ? Json() : Json::parse(m.params)) == params, "params");
    const Json arguments = params.is_object() ? at_or_null(params, "arguments") : Json();
    same((m.arguments.empty() ? Json() : Json::parse(m.arguments)) == arguments, "arguments");
    same(m.argument_keys_total == arguments.size(), "number of arguments");
    for (const std::string_view key : m.argument_keys) same(arguments.contains(std::string(key)), "argument key");
}

void check_id(const Message& m, std::string_view line) {
    if (m.id_token.empty()) return;
    const Json value = Json::parse(line, nullptr, false);
    const Json id = Json::parse(m.id_token, nullptr, false);
    same(id.is_string() || id.is_number_integer(), "id is no string or integer");
    // Refused lines may be ones that nlohmann::json refuses too.
    if (!value.is_discarded()) same(value["id"].dump() == id.dump(), "id");
    same(m.id_key == (id.is_string() ? "s:" + id.get<std::string>() : "i:" + id.dump()), "id key");
}

// Refused as not JSON at all: nothing else may read it.
bool is_syntax(Refusal refusal) {
    return refusal == Refusal::not_json || refusal == Refusal::trailing_bytes || refusal == Refusal::incomplete ||
           refusal == Refusal::empty;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static callgate::MessageParser parser, stream_parser;
    const std::string_view line(reinterpret_cast<const char*>(data), size);
    const Message& m = parser.parse(line);
    same((m.kind == MessageKind::invalid) == (m.refusal != Refusal::none), "kind and refusal");
    same(m.refusal_offset <= size, "offset behind the end");
    for (const std::string_view part : {m.id_token, m.params, m.arguments, m.result}) same(lies_in(part, line), "raw view");
    if (m.refusal == Refusal::none) check_accepted(m, line);
    check_id(m, line);
    // nlohmann::json ends at a NUL.
    if (is_syntax(m.refusal) && line.find('\0') == std::string_view::npos) {
        same(Json::parse(line, nullptr, false).is_discarded(), "refused as syntax what is JSON");
    }
    if (m.refusal == Refusal::none && line.find('\n') >= size - std::min<size_t>(size, 1)) {
        const callgate::Protocol one = callgate::classify(m);
        const callgate::Protocol stream = callgate::classify_bytes(line, stream_parser);
        same(one != callgate::Protocol::mcp || stream == callgate::Protocol::mcp, "classified otherwise in a stream");
    } else {
        (void)callgate::classify_bytes(line, stream_parser);
    }
    return 0;
}
