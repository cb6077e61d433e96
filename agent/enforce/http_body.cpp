#include "enforce/http_body.h"

#include <algorithm>

#include "base/limits.h"
#include "jsonrpc/classify.h"

namespace callgate {
namespace {

bool is_white(unsigned char byte) { return byte <= ' ' && byte != 0; }
bool opens_json(unsigned char byte) { return byte == '{' || byte == '['; }

// JSON in units of `width` bytes, the one that is not zero at `place`; a byte order mark is such a unit of another kind.
Guess guess_wide(std::string_view text, size_t width, size_t place) {
    for (size_t at = 0; at + width <= text.size(); at += width) {
        const std::string_view unit = text.substr(at, width);
        const auto byte = static_cast<unsigned char>(unit[place]);
        const bool others_are_zero = std::count(unit.begin(), unit.end(), '\0') == static_cast<ptrdiff_t>(width - (byte != 0));
        if (others_are_zero && opens_json(byte)) return Guess::yes;
        const size_t mark = unit.find(place == 0 ? "\xff\xfe" : "\xfe\xff");
        const bool is_mark = at == 0 && mark == (place == 0 ? 0 : width - 2);
        if (!is_mark && !(others_are_zero && is_white(byte))) return Guess::no;
    }
    return Guess::more;
}

Guess guess_any_wide(std::string_view text) {
    Guess strongest = Guess::no;
    for (const auto& [width, place] : {std::pair<size_t, size_t>{2, 0}, {2, 1}, {4, 0}, {4, 3}}) {
        const Guess guess = guess_wide(text, width, place);
        if (guess == Guess::yes) return guess;
        if (guess == Guess::more) strongest = guess;
    }
    return strongest;
}

// The next word of a line that may go on; takes it off, and the white space around it.
std::string_view take_word(std::string_view& line) {
    constexpr std::string_view kSplits = "\t\v\f\r\x1c\x1d\x1e\x1f \x85\xa0";
    line.remove_prefix(std::min(line.find_first_not_of(kSplits), line.size()));
    const std::string_view word = line.substr(0, line.find_first_of(kSplits));
    line.remove_prefix(word.size());
    return word;
}

// Could a server take this for a message of MCP? A server that a policy names speaks no other JSON-RPC 2.0.
bool is_mcp_message(const Message& message, std::string_view text, const Policy& policy) {
    if (!message.method.empty() && policy.says_anything_of_clients_method(message.method)) return true;
    if (message.kind != MessageKind::invalid) return message.has_jsonrpc_2 || classify(message) != Protocol::foreign;
    if (message.refusal == Refusal::no_method && !message.has_jsonrpc_2) return false;
    // Parameters by position are JSON-RPC, but no MCP method has any.
    const bool is_other_call = message.refusal == Refusal::invalid_member && !message.method.empty();
    if (is_other_call && !is_mcp_method(message.method)) return false;
    return may_hide_a_call(text) || guess_any_wide(text) == Guess::yes;
}

}  // namespace

Guess guess_json(std::string_view start) {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    std::string_view text = start;
    if (text.starts_with(kByteOrderMark)) {
        text.remove_prefix(kByteOrderMark.size());
    } else if (kByteOrderMark.starts_with(text)) {
        return Guess::more;
    }
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (is_white(byte)) continue;
        if (opens_json(byte)) return Guess::yes;
        return byte == 0 || byte >= 0xfe ? guess_any_wide(start) : Guess::no;
    }
    return Guess::more;
}

Guess guess_request(std::string_view start) {
    constexpr std::string_view kVersion = "HTTP/";
    std::string_view line = start.substr(0, start.find('\n'));
    const bool may_go_on = line.size() == start.size() && start.size() <= kHttpHeadBytesMax;
    const Guess too_short = may_go_on ? Guess::more : Guess::no;
    const std::string_view method = take_word(line);
    const auto is_capital = [](char c) { return c >= 'A' && c <= 'Z'; };
    if (method.size() > kHttpMethodBytesMax || !std::all_of(method.begin(), method.end(), is_capital)) return Guess::no;
    if (line.empty()) return too_short;
    take_word(line);
    if (line.empty()) return too_short;
    const std::string_view version = take_word(line);
    if (version.starts_with(kVersion)) return Guess::yes;
    return kVersion.starts_with(version) && line.empty() ? too_short : Guess::no;
}

void read_http_body(std::string_view text, bool claims_mcp, const Policy& policy, MessageParser& parser, HttpBody& body) {
    body.messages.clear();
    body.problem = {};
    body.only = nullptr;
    body.is_array = is_batch(text);
    body.is_mcp = claims_mcp;
    if (!body.is_array) {
        body.messages.push_back(text);
        body.only = &parser.parse(text, JsonText::document);
        body.is_mcp = claims_mcp || is_mcp_message(*body.only, text, policy);
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
        body.is_mcp = is_mcp_message(parser.parse(message, JsonText::document), message, policy);
    }
}

}  // namespace callgate
