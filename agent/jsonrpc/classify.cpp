#include "jsonrpc/classify.h"

#include <strings.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <utility>

namespace callgate {
namespace {

constexpr std::string_view kFamilies[] = {"tools/",       "resources/", "prompts/", "completion/",    "tasks/", "sampling/",
                                          "elicitation/", "roots/",     "logging/", "subscriptions/", "server/"};
constexpr std::string_view kMethods[] = {
    "initialize",
    "ping",
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "notifications/message",
    "notifications/resources/updated",
    "notifications/resources/list_changed",
    "notifications/tools/list_changed",
    "notifications/prompts/list_changed",
    "notifications/roots/list_changed",
    "notifications/elicitation/complete",
    "notifications/tasks",
    "notifications/tasks/status",
    "notifications/subscriptions/acknowledged",
};

Protocol classify_initialize(const Message& message) {
    if (message.protocol_version_is_string) return Protocol::mcp;
    if (!message.protocol_version.empty()) return Protocol::foreign;                 // a number: ACP
    if (message.has_process_id || !message.has_jsonrpc_2) return Protocol::foreign;  // LSP; Codex app-server
    return Protocol::json_like;
}

int strength(Protocol protocol) {
    switch (protocol) {
        case Protocol::undecided: return 0;
        case Protocol::foreign: return 1;
        case Protocol::json_like: return 2;
        case Protocol::mcp: return 3;
    }
    return 0;
}

bool has_prefix_ignoring_case(std::string_view text, std::string_view prefix) {
    return text.size() >= prefix.size() && strncasecmp(text.data(), prefix.data(), prefix.size()) == 0;
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kBlank = " \t\r\n";
    const size_t from = text.find_first_not_of(kBlank);
    if (from == std::string_view::npos) return {};
    return text.substr(from, text.find_last_not_of(kBlank) - from + 1);
}

// Goes through the lines of what was read, and through the bodies that a Content-Length header announces.
class StreamClassifier {
  public:
    StreamClassifier(std::string_view bytes, MessageParser& parser, const IsGoverned& is_governed)
        : rest_(bytes), parser_(parser), is_governed_(is_governed) {}

    Protocol run() {
        while (!rest_.empty() && verdict_ != Protocol::mcp) {
            const std::string_view line = next_piece();
            rest_.remove_prefix(line.size());
            examine(line);
        }
        // A response alone tells nothing, but it cannot be ruled out either.
        if (verdict_ == Protocol::undecided && saw_response_) return Protocol::json_like;
        return verdict_;
    }

  private:
    // A line; or a body of the announced length, where that is one whole message on a line. Otherwise it
    // counts as lines: a server that reads lines would read it so, whatever a header says.
    std::string_view next_piece() {
        const size_t feed = rest_.find('\n');
        const std::string_view line = rest_.substr(0, feed == std::string_view::npos ? rest_.size() : feed + 1);
        if (!in_body_ || body_length_ >= line.size()) return line;
        const std::string_view body = line.substr(0, body_length_);
        const Message& message = parser_.parse(body);
        const bool whole = message.refusal == Refusal::none || message.refusal == Refusal::no_method;
        return whole ? body : line;
    }

    void examine(std::string_view line) {
        const std::string_view text = trimmed(line);
        if (text.empty()) {
            in_body_ = body_length_ > 0;
            return;
        }
        const bool is_body = std::exchange(in_body_, false);
        if (!is_body && has_prefix_ignoring_case(text, "Content-")) {
            read_header(text);
            return;
        }
        body_length_ = 0;
        if (text.find('{') != std::string_view::npos || text.front() == '[') raise(classify_text(line, is_body));
    }

    void read_header(std::string_view text) {
        constexpr std::string_view kLength = "Content-Length:";
        const bool is_length = has_prefix_ignoring_case(text, kLength);
        if (!is_length && !has_prefix_ignoring_case(text, "Content-Type:")) return examine_text(text);
        if (is_length) {
            const std::string_view digits = trimmed(text.substr(kLength.size()));
            size_t length = 0;
            const auto [past, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
            if (error != std::errc{} || past == digits.data()) return examine_text(text);
            body_length_ = length;
        }
        raise(Protocol::foreign);
        examine_text(text);
    }
    void examine_text(std::string_view text) {
        if (text.find('{') != std::string_view::npos) raise(Protocol::json_like);
    }

    // A piece with a brace somewhere, or an opening bracket at its start.
    Protocol classify_text(std::string_view line, bool is_body) {
        const Message& message = parser_.parse(line);
        const bool may_be_others = is_body && message.method == "initialize";
        if (is_governed_ && !may_be_others && !message.method.empty() && is_governed_(message.method)) return Protocol::mcp;
        if (message.kind == MessageKind::response && message.has_jsonrpc_2) saw_response_ = true;
        if (message.refusal == Refusal::no_method && !message.has_jsonrpc_2) return Protocol::foreign;
        // Parameters by position are JSON-RPC, but no MCP method has any.
        const bool is_other_call = message.refusal == Refusal::invalid_member && !message.method.empty();
        if (is_other_call && !is_mcp_method(message.method)) return Protocol::foreign;
        return classify(message);
    }

    void raise(Protocol protocol) {
        if (strength(protocol) > strength(verdict_)) verdict_ = protocol;
    }

    std::string_view rest_;
    MessageParser& parser_;
    const IsGoverned& is_governed_;
    Protocol verdict_ = Protocol::undecided;
    size_t body_length_ = 0;  // announced, not yet passed
    bool in_body_ = false;    // past the blank line that ends a header
    bool saw_response_ = false;
};

}  // namespace

bool may_hide_a_call(std::string_view line) {
    constexpr std::string_view kMethod = "method";
    auto alike = [](char a, char b) { return tolower(static_cast<unsigned char>(a)) == b; };
    if (line.find("\\u") != std::string_view::npos ||
        std::search(line.begin(), line.end(), kMethod.begin(), kMethod.end(), alike) != line.end())
        return true;
    if (line.find('\0') == std::string_view::npos) return false;
    std::string narrow(line);  // UTF-16 or UTF-32 may be what it is
    std::erase(narrow, '\0');
    return may_hide_a_call(narrow);
}

bool is_mcp_method(std::string_view method) {
    const auto begins = [&](std::string_view family) { return method.substr(0, family.size()) == family; };
    return std::any_of(std::begin(kFamilies), std::end(kFamilies), begins) ||
           std::find(std::begin(kMethods), std::end(kMethods), method) != std::end(kMethods);
}

Protocol classify(const Message& message) {
    switch (message.kind) {
        case MessageKind::invalid: return message.refusal == Refusal::empty ? Protocol::undecided : Protocol::json_like;
        case MessageKind::response: return message.has_jsonrpc_2 ? Protocol::undecided : Protocol::foreign;
        case MessageKind::request:
        case MessageKind::notification: break;
    }
    if (message.has_meta_protocol_version) return Protocol::mcp;
    if (message.method == "initialize") return classify_initialize(message);
    return is_mcp_method(message.method) ? Protocol::mcp : Protocol::foreign;
}

Protocol classify_bytes(std::string_view bytes, MessageParser& parser, const IsGoverned& is_governed) {
    return StreamClassifier(bytes, parser, is_governed).run();
}

}  // namespace callgate
