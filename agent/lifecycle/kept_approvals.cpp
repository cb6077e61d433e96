#include "lifecycle/kept_approvals.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/clock.h"
#include "fetch/curl_library.h"
#include "lifecycle/approval_json.h"
#include "lifecycle/session_json.h"
#include "lifecycle/webhook_start.h"

namespace callgate {
namespace {

using nlohmann::json;

// Expiry is by the clock of the host, which may be set.
constexpr int64_t kSweepNanosecondsMax = 60'000'000'000;

std::string text_of(const json& value) { return value.dump(-1, ' ', true, json::error_handler_t::replace); }

std::string host_name() {
    std::array<char, 256> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

std::string string_member(const json& request, const char* key) {
    const auto found = request.find(key);
    return found != request.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<ApprovalState> decision_of(const std::string& word) {
    if (word == "approve") return ApprovalState::approved;
    if (word == "deny") return ApprovalState::denied;
    if (word == "revoke") return ApprovalState::revoked;
    return std::nullopt;
}

}  // namespace

KeptApprovals::KeptApprovals(Ring& ring, AuditLog& audit, WaitingCalls& waiting, const Config& config)
    : ring_(ring), audit_(audit), config_(config), book_(waiting) {
    book_.on_event = [this](ApprovalEvent event, const ApprovalRecord& record) { tell(event, record); };
    book_.wake = [this](int64_t at_ns) {
        const int64_t wait_ns = std::clamp<int64_t>(at_ns - realtime_ns(), 0, kSweepNanosecondsMax);
        ring_.after(std::chrono::nanoseconds(wait_ns), [this] { book_.sweep(realtime_ns()); });
    };
}

Status KeptApprovals::open(Database& database) {
    if (!config_.webhook_url.empty()) {
        TRY_VOID(CurlLibrary::load());
        TRY_VOID(start_webhook());
    }
    return book_.keep_in(database, realtime_ns());
}

Status KeptApprovals::start_webhook() {
    Webhook::Options options;
    options.secret = TRY(read_secret_of_webhook(config_));
    options.failed = [&audit = audit_](const Webhook::Failure& failure) {
        audit.event("approval_webhook_failed", nullptr,
                    {{"url", json_text(failure.url)},
                     {"event", json_text(failure.event)},
                     {"reason", json_text(failure.reason)},
                     {"attempts", std::to_string(failure.attempts)}});
    };
    webhook_ = TRY(Webhook::start(std::move(options)));
    return {};
}

// Of a policy that is gone, sessions may go on with the last version.
void KeptApprovals::use_policies(const PolicyStore& policies) {
    std::unordered_map<std::string_view, std::string_view> revisions;
    for (const auto& policy : policies.policies()) revisions.emplace(policy->name(), policy->revision());
    book_.end_outdated([&](std::string_view policy, std::string_view revision) {
        const auto found = revisions.find(policy);
        return found == revisions.end() || found->second == revision;
    });
}

void KeptApprovals::tell(ApprovalEvent event, const ApprovalRecord& record) {
    const std::string type = "approval_" + std::string(name(event));
    std::vector<std::pair<std::string, std::string>> members = {{"approval", json_text(record.id.view())},
                                                                {"session", json_text(record.session)},
                                                                {"method", json_text(record.method)},
                                                                {"tool", json_text(record.tool)},
                                                                {"grant", json_text(record.grant)},
                                                                {"policy", json_text(record.policy)},
                                                                {"policy_revision", json_text(record.revision)},
                                                                {"rule", json_text(record.rule)},
                                                                {"expires_at", json_text(utc_text(record.expires_ns))}};
    if (record.state != ApprovalState::pending) {
        members.emplace_back("decided_by", text_of(decider_json(record.by)));
        if (!record.decision_reason.empty()) members.emplace_back("reason", json_text(record.decision_reason));
    }
    if (!record.cause.empty()) members.emplace_back("cause", json_text(record.cause));
    audit_.event(type, nullptr, members);
    if (!config_.webhook_url.empty()) post(config_.webhook_url, type, record);
    if (!record.webhook_url.empty() && record.webhook_url != config_.webhook_url) post(record.webhook_url, type, record);
}

void KeptApprovals::post(const std::string& url, const std::string& event, const ApprovalRecord& record) {
    if (!webhook_) {
        Status started = start_webhook();
        problem_ = started ? std::string() : "webhooks cannot be signed: " + started.error().text();
        if (!started) return;
    }
    const json body = {
        {"event", event}, {"time", utc_now()}, {"host", host_name()}, {"approval", approval_json(record, ApprovalDetail::keys)}};
    webhook_->post(url, event, text_of(body));
}

json KeptApprovals::list_json() const {
    json list = json::array();
    for (const ApprovalRecord* record : book_.records()) list.push_back(approval_json(*record, ApprovalDetail::excerpt));
    return {{"approvals", std::move(list)}, {"pending", book_.pending()}};
}

json KeptApprovals::show_json(const json& request) const {
    const std::string id = string_member(request, "id");
    const ApprovalRecord* record = book_.find(id);
    if (record == nullptr)
        return {{"refused",
                 "approval " + id + ": there is none, or it has expired; \"callgate approvals list\" lists those that are open"}};
    return {{"approval", approval_json(*record, ApprovalDetail::arguments)}};
}

json KeptApprovals::decide_json(const json& request) {
    const std::optional<ApprovalState> decision = decision_of(string_member(request, "decision"));
    if (!decision) return {{"refused", "a decision is \"approve\", \"deny\" or \"revoke\""}};
    std::string reason = string_member(request, "reason");
    if (reason.size() > kApprovalReasonBytesMax)
        return {{"refused", "a reason has " + std::to_string(kApprovalReasonBytesMax) + " bytes at most"}};
    const auto peer = request.find("peer");
    const auto done = book_.decide(string_member(request, "id"), *decision, decider_of(peer == request.end() ? json() : *peer),
                                   std::move(reason), realtime_ns());
    if (!done) return {{"refused", done.error().text()}};
    return {{"approval", approval_json(*done.value(), ApprovalDetail::arguments)}};
}

json KeptApprovals::figures_json() const {
    json figures = {{"pending", book_.pending()}, {"open", book_.records().size()}};
    if (!webhook_) return figures;
    const Webhook::Figures webhook = webhook_->figures();
    figures["webhook"] = {{"delivered", webhook.delivered},
                          {"retried", webhook.retried},
                          {"failed", webhook.failed},
                          {"waiting", webhook.waiting},
                          {"last_error", webhook.last_error}};
    return figures;
}

}  // namespace callgate
