// KeptApprovals: the agent's book of approvals, and who is told of what is in it: the audit log, webhooks, the CLI.
//
// A webhook gets POSTs of {"event":"approval_requested","time":…,"host":…,"approval":{…}}; of the arguments only the names
// of the members, no value: those are read with `callgate approvals show ID` on the host. See webhook.h, webhook_secret.h.
#pragma once
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "approval/book.h"
#include "approval/webhook.h"
#include "audit/log.h"
#include "io/ring.h"
#include "lifecycle/config.h"

namespace callgate {

class KeptApprovals {
  public:
    // All of them outlive it.
    KeptApprovals(Ring& ring, AuditLog& audit, WaitingCalls& waiting, const Config& config);
    // What an earlier agent left. Before that everything that needs approval is denied.
    Status open(Database& database);

    ApprovalDesk& desk() { return book_; }
    Status take_back(std::string_view turn) { return book_.take_back(turn); }
    // These are in force now. What was asked for under another revision of one of them has expired.
    void use_policies(const PolicyStore& policies);
    // What the control socket answers; on the loop's thread.
    nlohmann::json list_json() const;
    nlohmann::json show_json(const nlohmann::json& request) const;  // {"id"}
    nlohmann::json decide_json(const nlohmann::json& request);      // {"id", "decision", "reason", "peer"}
    nlohmann::json figures_json() const;
    std::string problem() const { return problem_.empty() ? book_.problem() : problem_; }
    Trouble& trouble() { return book_.trouble(); }
    // The agent ends: what has not reached a webhook is in the audit log, and nothing comes after that.
    void abandon_webhook() {
        if (webhook_) webhook_->abandon();
    }

  private:
    void tell(ApprovalEvent event, const ApprovalRecord& record);
    void post(const std::string& url, const std::string& event, const ApprovalRecord& record);
    Status start_webhook();

    Ring& ring_;
    AuditLog& audit_;
    const Config& config_;
    std::unique_ptr<Webhook> webhook_;  // from the first event on that anybody is told of
    std::string problem_;               // of the webhook's secret
    ApprovalBook book_;
};

}  // namespace callgate
