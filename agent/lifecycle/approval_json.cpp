#include "lifecycle/approval_json.h"

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "session/users.h"

namespace callgate {
namespace {

using nlohmann::json;

// What a list shows of arguments.
constexpr size_t kExcerptBytes = 200;
// Names of members that a webhook is told.
constexpr size_t kKeysMax = 32;

json keys_of(const std::string& arguments) {
    json keys = json::array();
    const json parsed = json::parse(arguments, nullptr, false);
    if (!parsed.is_object()) return keys;
    for (const auto& [key, value] : parsed.items()) {
        if (keys.size() == kKeysMax) break;
        keys.push_back(key);
    }
    return keys;
}

int64_t number(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : -1;
}

}  // namespace

json approval_json(const ApprovalRecord& record, ApprovalDetail detail) {
    json out = {{"id", record.id.view()},
                {"state", state_name(record)},
                {"policy", record.policy},
                {"policy_revision", record.revision},
                {"method", record.method},
                {"tool", record.tool},
                {"server", record.server},
                {"server_process", record.server_process},
                {"client", record.client},
                {"client_claim", record.client_claim},
                {"grant", record.grant},
                {"session", record.session},
                {"rule", record.rule},
                {"reason", record.reason},
                {"requested_at", utc_text(record.requested_ns)},
                {"expires_at", utc_text(record.expires_ns)},
                {"arguments_bytes", record.arguments.size()},
                {"other_params_bytes", record.other_params.size()}};
    switch (detail) {
        case ApprovalDetail::keys: out["argument_keys"] = keys_of(record.arguments); break;
        case ApprovalDetail::excerpt:
            out["arguments_begin"] = record.arguments.substr(0, kExcerptBytes);
            if (!record.other_params.empty()) out["other_params_begin"] = record.other_params.substr(0, kExcerptBytes);
            break;
        case ApprovalDetail::arguments:
            out["arguments"] = record.arguments;
            if (!record.other_params.empty()) out["other_params"] = record.other_params;
            break;
    }
    if (record.state != ApprovalState::pending) {
        out["decided_at"] = utc_text(record.decided_ns);
        out["decided_by"] = decider_json(record.by);
        out["decision_reason"] = record.decision_reason;
        if (record.dedupe_ns > 0 && record.is_decided())
            out["good_for_all_until"] = utc_text(record.decided_ns + record.dedupe_ns);
    }
    if (record.used > 0) {
        out["used"] = record.used;
        out["used_at"] = utc_text(record.used_ns);
    }
    return out;
}

json decider_json(const ApprovalDecider& by) {
    json out = {{"uid", by.uid}, {"user", by.user}};
    if (by.login_uid >= 0) {
        out["login_uid"] = by.login_uid;
        out["login"] = by.login;
    }
    return out;
}

ApprovalDecider decider_of(const json& peer) {
    ApprovalDecider by;
    if (!peer.is_object()) return by;
    by.uid = number(peer, "uid");
    by.login_uid = number(peer, "login_uid");
    if (by.uid >= 0) by.user = user_name(static_cast<uid_t>(by.uid));
    if (by.login_uid >= 0) by.login = user_name(static_cast<uid_t>(by.login_uid));
    return by;
}

}  // namespace callgate
