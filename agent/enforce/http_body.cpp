#include "enforce/http_body.h"

#include <algorithm>

#include "base/limits.h"
#include "jsonrpc/classify.h"

namespace callgate {
namespace {

bool is_blank(unsigned char byte) { return byte <= ' ' && byte != 0; }
bool opens_json(unsigned char byte) { return byte == '{' || byte == '['; }

// JSON in units of `width` bytes, the one that is not zero at `place`; a byte order mark is such a unit of another kind.
JsonGuess guess_wide(std::string_view text, size_t width, size_t place) {
    for (size_t at = 0; at + width <= text.size(); at += width) {
        const std::string_view unit = text.substr(at, width);
        const auto byte = static_cast<unsigned char>(unit[place]);
        const bool others_are_zero = std::count(unit.begin(), unit.end(), '\0') == static_cast<ptrdiff_t>(width - (byte != 0));
        if (others_are_zero && opens_json(byte)) return JsonGuess::yes;
        const size_t mark = unit.find(place == 0 ? "\xff\xfe" : "\xfe\xff");
        const bool is_mark = at == 0 && mark == (place == 0 ? 0 : width - 2);
        if (!is_mark && !(others_are_zero && is_blank(byte))) return JsonGuess::no;
    }
    return JsonGuess::more;
}

JsonGuess guess_any_wide(std::string_view text) {
    JsonGuess strongest = JsonGuess::no;
    for (const auto& [width, place] : {std::pair<size_t, size_t>{2, 0}, {2, 1}, {4, 0}, {4, 3}}) {
        const JsonGuess guess = guess_wide(text, width, place);
        if (guess == JsonGuess::yes) return guess;
        if (guess == JsonGuess::more) strongest = guess;
    }
    return strongest;
}

// Could a server take this for a message of MCP?
bool is_mcp_message(const Message& message, std::string_view text) {
    if (message.kind != MessageKind::invalid) return classify(message) != Protocol::foreign;
    if (message.refusal == Refusal::no_method && !message.has_jsonrpc_2) return false;
    // Parameters by position are JSON-RPC, but no MCP method has any.
    const bool is_other_call = message.refusal == Refusal::invalid_member && !message.method.empty();
    if (is_other_call && !is_mcp_method(message.method)) return false;
    return may_hide_a_call(text) || guess_any_wide(text) == JsonGuess::yes;
}

}  // namespace

JsonGuess guess_json(std::string_view start) {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    std::string_view text = start;
    if (text.starts_with(kByteOrderMark)) {
        text.remove_prefix(kByteOrderMark.size());
    } else if (kByteOrderMark.starts_with(text)) {
        return JsonGuess::more;
    }
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (is_blank(byte)) continue;
        if (opens_json(byte)) return JsonGuess::yes;
        return byte == 0 || byte >= 0xfe ? guess_any_wide(start) : JsonGuess::no;
    }
    return JsonGuess::more;
}

void read_http_body(std::string_view text, bool claims_mcp, MessageParser& parser, HttpBody& body) {
    body.messages.clear();
    body.problem = {};
    body.only = nullptr;
    body.is_array = is_batch(text);
    body.is_mcp = claims_mcp;
    if (!body.is_array) {
        body.messages.push_back(text);
        body.only = &parser.parse(text, JsonText::document);
        body.is_mcp = claims_mcp || is_mcp_message(*body.only, text);
        return;
    }
    body.problem = split_batch(text, kBatchMessagesMax, body.messages);
    if (!body.problem.ok()) {
        body.messages.clear();
        body.is_mcp = claims_mcp || may_hide_a_call(text);
        return;
    }
    for (const std::string_view message : body.messages) {
        if (body.is_mcp) return;
        body.is_mcp = is_mcp_message(parser.parse(message, JsonText::document), message);
    }
}

}  // namespace callgate
