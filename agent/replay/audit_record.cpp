#include "replay/audit_record.h"

#include <time.h>

#include "base/limits.h"
#include "jsonrpc/answer.h"
#include "jsonrpc/walk.h"
#include "policy/json_document.h"

namespace callgate {
namespace {

using Kind = JsonValue::Kind;

// A key that was cut when it was recorded is no whole name.
constexpr size_t kRecordedKeyBytesMax = 256;

// Finds the member "arguments" or "params" of a record. Its value is for our own parser alone: another
// refuses 1e400.
class ValueFinder {
  public:
    void open(bool, const char* at) {
        if (depth_++ == 1 && is_next_) begin_ = at;
    }
    void key(const StringToken& token) {
        is_next_ = depth_ == 1 && end_ == nullptr && (token.raw() == "arguments" || token.raw() == "params");
    }
    void scalar(ValueKind, const char*, const char*, const StringToken&) {}  // neither is ever one
    void close(bool, const char* end) {
        if (--depth_ == 1 && begin_ != nullptr && end_ == nullptr) end_ = end;
    }
    std::string_view found() const {
        return end_ != nullptr ? std::string_view(begin_, static_cast<size_t>(end_ - begin_)) : std::string_view();
    }

  private:
    size_t depth_ = 0;
    bool is_next_ = false;
    const char *begin_ = nullptr, *end_ = nullptr;
};

std::string_view recorded_values(std::string_view line) {
    Scanner scanner(line, JsonText::document);
    ValueFinder finder;
    const char* end = Walk(scanner, finder).value(scanner.space(scanner.begin()));
    return end != nullptr ? finder.found() : std::string_view();
}

class Reader {
  public:
    explicit Reader(const JsonValue& object) : object_(object) {}

    std::string text(std::string_view key) const {
        const JsonValue* value = object_.kind == Kind::object ? object_.find(key) : nullptr;
        return value && value->kind == Kind::string ? value->string : std::string();
    }
    std::optional<int64_t> integer(std::string_view key) const {
        const JsonValue* value = object_.kind == Kind::object ? object_.find(key) : nullptr;
        return value && value->kind == Kind::integer ? std::optional<int64_t>(value->integer) : std::nullopt;
    }
    bool has(std::string_view key) const { return object_.kind == Kind::object && object_.find(key) != nullptr; }
    Reader inside(std::string_view key) const {
        static const JsonValue kNone;
        const JsonValue* value = object_.kind == Kind::object ? object_.find(key) : nullptr;
        return Reader(value ? *value : kNone);
    }
    std::vector<std::string> texts(std::string_view key) const {
        std::vector<std::string> out;
        const JsonValue* value = object_.find(key);
        if (!value || value->kind != Kind::array) return out;
        for (const JsonValue& item : value->items) out.push_back(item.string);
        return out;
    }

  private:
    const JsonValue& object_;
};

// "2026-11-03T08:15:30.000000001Z"
std::optional<int64_t> parse_time(const std::string& text) {
    struct tm utc {};
    const char* rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &utc);
    if (rest == nullptr) return std::nullopt;
    int64_t nanoseconds = 0;
    if (*rest == '.') {
        int digits = 0;
        for (++rest; *rest >= '0' && *rest <= '9' && digits < 9; ++rest, ++digits) nanoseconds = nanoseconds * 10 + (*rest - '0');
        for (; digits < 9; ++digits) nanoseconds *= 10;
    }
    if (std::string_view(rest) != "Z") return std::nullopt;
    return int64_t{timegm(&utc)} * 1'000'000'000 + nanoseconds;
}

void read_process(const Reader& said, ProcessFacts& process) {
    process.pid = static_cast<pid_t>(said.integer("pid").value_or(0));
    process.uid = static_cast<uid_t>(said.integer("uid").value_or(0));
    process.user = said.text("user");
    process.exe = said.text("exe");
    process.cgroup = said.text("cgroup");
}

void read_parties(const Reader& record, AuditRecord& out) {
    TrialCall& call = out.call;
    call.grant = record.text("grant");
    call.session = out.session;
    read_process(record.inside("peer"), call.peer.process);
    const Reader server = record.inside("server");
    read_process(server, call.server.process);
    call.server.command = server.text("command");
    call.server.package.name = server.text("package");
    call.server.package.version = server.text("package_version");
    if (const std::string listen = server.text("listen"); !listen.empty()) call.server.listens.push_back(listen);
    if (server.has("image")) call.server.image = server.text("image");
    out.facts.has_server_user = server.has("user");
    out.says_client = record.has("client_name") || record.has("client_version");
    call.client_name = record.text("client_name");
    call.client_version = record.text("client_version");
}

// Names without values: enough where only the presence of a member is asked for.
std::string placeholders(const std::vector<std::string>& keys) {
    std::string out = "{";
    for (const std::string& key : keys) {
        if (out.size() > 1) out += ',';
        append_json_string(out, key);
        out += ":null";
    }
    return out + "}";
}

void read_values(const Reader& record, std::string_view values, AuditRecord& out) {
    TrialCall& call = out.call;
    RecordedFacts& facts = out.facts;
    call.method = record.text("method");
    call.name = record.text(record.has("tool") ? "tool" : "name");
    const bool takes_arguments = call.method == "tools/call" || call.method == "prompts/get";
    if (!takes_arguments) {
        call.params = values;
        facts.has_values = !call.params.empty();
        if (facts.has_values) return;
        facts.has_uri = record.has("uri");
        facts.has_name = facts.has_uri || record.has("name");
        std::string params = "{";
        if (facts.has_uri) append_json_string(params += "\"uri\":", record.text("uri"));
        if (record.has("name")) append_json_string(params += facts.has_uri ? ",\"name\":" : "\"name\":", call.name);
        call.params = params + "}";
        return;
    }
    facts.has_name = true;
    call.arguments = values;
    facts.has_values = !call.arguments.empty() || !record.has("arguments_hash");
    if (facts.has_values) return;
    facts.keys = record.texts("argument_keys");
    facts.has_keys = !record.has("argument_keys_total");
    for (const std::string& key : facts.keys) facts.has_keys = facts.has_keys && key.size() < kRecordedKeyBytesMax;
    call.arguments = placeholders(facts.keys);
}

void read_decision(const Reader& record, AuditRecord& out) {
    const std::string decision = record.text("decision"), kind = record.text("kind");
    out.rule = record.text("rule");
    // Of what is no message no policy was asked, whether it was stopped or not.
    out.is_refused = decision == "refuse" || kind == "invalid" || (decision == "would_deny" && out.rule.empty());
    out.is_decided_by_human = record.has("approval");
    out.is_asked = !out.is_refused && (kind == "request" || kind == "notification");
    if (decision != "deny" && decision != "would_deny") return;
    const int64_t code = record.integer("code").value_or(0);
    out.was = code == kCodeOverLimit ? TrialOutcome::limit : code == kCodeApproval ? TrialOutcome::approval : TrialOutcome::deny;
}

}  // namespace

std::optional<AuditRecord> parse_audit_record(std::string_view text) {
    // What stands in the place of the values is an empty object.
    const std::string_view values = recorded_values(text);
    std::string line(text);
    if (!values.empty()) line.replace(static_cast<size_t>(values.data() - text.data()), values.size(), "{}");
    ProblemList problems;
    const std::optional<JsonValue> root = parse_json(line, problems);
    if (!root || root->kind != Kind::object || !problems.empty()) return std::nullopt;
    const Reader record(*root);
    AuditRecord out;
    out.type = record.text("type");
    out.id = record.text("id");
    out.time = record.text("time");
    const std::optional<int64_t> time_ns = parse_time(out.time);
    if (out.type.empty() || !time_ns) return std::nullopt;
    out.time_ns = *time_ns;
    out.session = record.text("session");
    out.transport = record.text("transport");
    out.policy = record.text("policy");
    out.lost = out.type == "gap" ? record.integer("lost").value_or(0) : 0;
    if (out.type != "message") return out;
    out.call.from_server = record.text("direction") == "s2c";
    out.answers = record.text("answers");
    out.outcome = record.text("outcome");
    read_decision(record, out);
    read_parties(record, out);
    if (out.is_asked) read_values(record, values, out);
    return out;
}

}  // namespace callgate
