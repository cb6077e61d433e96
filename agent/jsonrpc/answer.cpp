#include "jsonrpc/answer.h"

#include "jsonrpc/text.h"

namespace callgate {
namespace {

constexpr std::string_view kPrefix = "[POLICY DENIED] ";
constexpr std::string_view kPrefixOfApproval = "[APPROVAL NEEDED] ";
constexpr int64_t kMillisecondsPerSecond = 1000;

// An empty token leaves the id out: a response may lack its id, but null makes clients hang.
void append_head(std::string& out, std::string_view id_token) {
    out += R"({"jsonrpc":"2.0",)";
    if (id_token.empty()) return;
    out += R"("id":)";
    out += id_token;
    out += ',';
}

void append_unicode_escape(std::string& out, unsigned code) {
    constexpr char kDigits[] = "0123456789abcdef";
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out += kDigits[(code >> shift) & 0xf];
}

void append_ascii(std::string& out, unsigned char c) {
    switch (c) {
        case '"': out += "\\\""; return;
        case '\\': out += "\\\\"; return;
        case '\n': out += "\\n"; return;
        case '\r': out += "\\r"; return;
        case '\t': out += "\\t"; return;
        default: break;
    }
    if (c < 0x20 || c == 0x7f) {
        append_unicode_escape(out, c);
    } else {
        out += static_cast<char>(c);
    }
}

// `,"rule":…[,"tool":…][,"retryAfterMs":…][,"approval_id":…,"expires_at":…[,"approve":…]]`
void append_facts(std::string& out, const Denial& denial) {
    out += R"("rule":)";
    append_json_string(out, denial.rule);
    if (!denial.tool.empty()) {
        out += R"(,"tool":)";
        append_json_string(out, denial.tool);
    }
    if (denial.retry_after_ms) {
        out += R"(,"retryAfterMs":)";
        out += std::to_string(*denial.retry_after_ms);
    }
    if (denial.approval.empty()) return;
    out += R"(,"approval_id":)";
    append_json_string(out, denial.approval);
    out += R"(,"expires_at":)";
    append_json_string(out, denial.approval_expires);
    if (denial.code != kCodeApproval) return;
    out += R"(,"approve":"callgate approvals approve )";
    out += denial.approval;
    out += '"';
}

void append_reason(std::string& out, const Denial& denial) {
    std::string text(denial.code == kCodeApproval && !denial.approval.empty() ? kPrefixOfApproval : kPrefix);
    text += denial.reason;
    if (denial.retry_after_ms) {
        const int64_t wait_ms = *denial.retry_after_ms;
        const int64_t wait_s = wait_ms / kMillisecondsPerSecond + (wait_ms % kMillisecondsPerSecond > 0 ? 1 : 0);
        text += " Retry after " + std::to_string(wait_s) + " s.";
    }
    append_json_string(out, text);
}

}  // namespace

void append_denied_result(std::string& out, std::string_view id_token, const Denial& denial, bool modern) {
    append_head(out, id_token);
    out += R"("result":{"content":[{"type":"text","text":)";
    append_reason(out, denial);
    out += R"(}],"isError":true,)";
    if (modern) out += R"("resultType":"complete",)";
    out += R"("_meta":{"io.callgate/decision":{"code":)";
    out += std::to_string(denial.code);
    out += ',';
    append_facts(out, denial);
    out += "}}}}\n";
}

void append_denied_error(std::string& out, std::string_view id_token, const Denial& denial) {
    append_head(out, id_token);
    out += R"("error":{"code":)";
    out += std::to_string(denial.code);
    out += R"(,"message":)";
    append_reason(out, denial);
    out += R"(,"data":{)";
    append_facts(out, denial);
    out += "}}}\n";
}

void append_denied_placeholder(std::string& out, std::string_view id_token) {
    append_head(out, id_token);
    out += id_token.empty() ? R"("method":"notifications/callgate/denied"})" : R"("method":"callgate/denied"})";
}

void append_refusal(std::string& out, std::string_view id_token, Refusal refusal, uint32_t offset) {
    constexpr int kParseError = -32700;
    const int code = json_rpc_code(refusal);
    append_head(out, id_token);
    out += R"("error":{"code":)";
    out += std::to_string(code);
    out += R"(,"message":)";
    std::string text = code == kParseError ? "Parse error: " : "Invalid Request: ";
    text += explanation(refusal);
    text += ". Refused by callgate before it reached the server.";
    append_json_string(out, text);
    out += R"(,"data":{"refused":")";
    out += name(refusal);
    out += R"(","offset":)";
    out += std::to_string(offset);
    out += "}}}\n";
}

void append_json_string(std::string& out, std::string_view text) {
    out += '"';
    const char* p = text.data();
    const char* const end = p + text.size();
    while (p < end) {
        if (static_cast<unsigned char>(*p) < 0x80) {
            append_ascii(out, static_cast<unsigned char>(*p++));
            continue;
        }
        const int length = utf8_sequence_length(p, end);
        const std::string_view sequence(p, static_cast<size_t>(length));
        if (length == 0) {
            out += "\ufffd";
        } else if (sequence == "\u2028" || sequence == "\u2029") {
            append_unicode_escape(out, sequence == "\u2028" ? 0x2028 : 0x2029);
        } else {
            out += sequence;
        }
        p += length == 0 ? 1 : length;
    }
    out += '"';
}

}  // namespace callgate
