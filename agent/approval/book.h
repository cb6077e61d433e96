// ApprovalBook: every open request for approval, in memory and in state.db: it outlives the agent.
//
//   book.is_approved(call)                          ->  false, "k3f9x0wq2m" is pending; the same call: the same id
//   book.decide("k3f9x0wq2m", approved, who, "")    ->  calls that wait for it are tried again
//   book.is_approved(call); book.use(…)             ->  true, once; what comes then is a new request
//
// An approval that is used is so on the disk before use() returns: whatever becomes of the agent then, no second call goes
// on with it. Between is_approved() and use() it is taken, and is_approved() says no to any other call.
//
// Each lives its time, and no longer: where the clock is set back, all times of the book are set back with it. Where it is set
// forward, they are over when it says so.
//
// Bounded: kApprovalsPendingPerGrantMax, …PerUserMax, kApprovalsPendingMax, kApprovalsKeptMax. One thread: the relay's.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>

#include "approval/fingerprint.h"
#include "approval/record.h"
#include "approval/table.h"
#include "base/clock.h"
#include "base/trouble.h"
#include "policy/approval_desk.h"
#include "policy/waiting_calls.h"

namespace callgate {

enum class ApprovalEvent : uint8_t { requested, approved, denied, revoked, used, expired };
std::string_view name(ApprovalEvent event);  // "requested", …

class ApprovalBook final : public ApprovalDesk {
  public:
    // Calls that wait for a decision wait there. Outlives the book.
    // `steady_ns`: goes on whatever the clock is set to.
    explicit ApprovalBook(WaitingCalls& waiting, int64_t (*steady_ns)() = boottime_ns)
        : waiting_(waiting), steady_ns_(steady_ns) {}

    // What an earlier agent left; from now on everything is kept there too. Without it everything is denied.
    Status keep_in(Database& database, int64_t now_ns);

    bool is_approved(const ApprovalQuestion& question, int64_t now_ns, Verdict& verdict) override;
    Status use(std::span<const ApprovalId> approvals, int64_t now_ns, std::string_view turn) override;
    void give_back(std::span<const ApprovalId> approvals) override;
    // What an earlier agent has used in a turn that it never committed: its calls are judged again, and may go on with it.
    Status take_back(std::string_view turn);

    // `decision`: approved or denied of a pending one; denied or revoked of an approval that is good for a call yet; revoked of a
    // denial. What is wrong is a sentence for whoever decides.
    Result<const ApprovalRecord*> decide(std::string_view id, ApprovalState decision, ApprovalDecider by, std::string reason,
                                         int64_t now_ns);
    // Ends what no call can fit any more: its policy says something else now, and so each of its calls is another one.
    // `is_current` of the name and the revision of a policy.
    void end_outdated(const std::function<bool(std::string_view, std::string_view)>& is_current);
    // Forgets what is over. Called at the time that `wake` was given (realtime), or earlier.
    void sweep(int64_t now_ns);

    const ApprovalRecord* find(std::string_view id) const;
    std::vector<const ApprovalRecord*> records() const;  // the oldest first
    size_t pending() const { return pending_; }
    // Of what could not be written or removed last.
    Trouble& trouble() { return trouble_; }
    std::string problem() const { return trouble_.text(); }

    // Set by the owner. A record is valid for the call.
    std::function<void(ApprovalEvent, const ApprovalRecord&)> on_event;
    std::function<void(int64_t at_ns)> wake;

  private:
    struct Hash {
        size_t operator()(const std::array<char, 32>& hash) const;
    };
    using Fingerprint = std::array<char, 32>;

    void follow_clock(int64_t now_ns);
    ApprovalRecord* current(const Fingerprint& fingerprint, int64_t now_ns);
    bool deny_too_long(const ApprovalQuestion& question, Verdict& verdict);
    ApprovalRecord* ask(const ApprovalQuestion& question, const CallFingerprint& fingerprint, int64_t now_ns, Verdict& verdict);
    bool has_room(const ApprovalQuestion& question, Verdict& verdict);
    ApprovalRecord& add(ApprovalRecord record);
    void count_pending(const ApprovalRecord& record, int by);
    void end(const std::vector<const ApprovalRecord*>& gone);  // tells of it, and removes it
    void remove(const std::vector<const ApprovalRecord*>& gone);
    ApprovalRecord* find_mutable(std::string_view id);
    void deny(const ApprovalQuestion& question, const ApprovalRecord& record, Verdict& verdict);
    void fail(std::string_view because, Verdict& verdict, const ApprovalQuestion& question);
    void tell(ApprovalEvent event, const ApprovalRecord& record) const {
        if (on_event) on_event(event, record);
    }
    void wake_at(int64_t at_ns);

    WaitingCalls& waiting_;
    int64_t (*steady_ns_)();
    int64_t ahead_ns_ = INT64_MIN;  // of the clock, before steady_ns_(): the most since it was last set back
    std::unique_ptr<ApprovalTable> table_;
    std::unordered_map<std::string, std::unique_ptr<ApprovalRecord>> records_;  // by id
    std::unordered_map<Fingerprint, ApprovalRecord*, Hash> by_fingerprint_;     // the newest
    std::unordered_map<std::string, size_t> pending_of_grant_;
    std::unordered_map<int64_t, size_t> pending_of_user_;  // by uid
    size_t pending_ = 0;
    int64_t armed_for_ns_ = INT64_MAX;
    std::string sentence_;
    Trouble trouble_;
};

}  // namespace callgate
