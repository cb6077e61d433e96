// ApprovalTable: the records of an ApprovalBook in state.db. What a function has done when it returns is on the disk.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "approval/record.h"
#include "store/database.h"

namespace callgate {

class ApprovalTable {
  public:
    // The database outlives it.
    static Result<std::unique_ptr<ApprovalTable>> open(Database& database);

    Status each(const std::function<void(ApprovalRecord)>& use);
    Status insert(const ApprovalRecord& record);
    // State, who decided and why.
    Status update_decision(const ApprovalRecord& record);
    struct Use {
        const ApprovalRecord* record;
        int64_t times;
    };
    // Counts them all, or none.
    Status add_use(std::span<const Use> uses, int64_t now_ns, std::string_view turn);
    Status take_back(std::string_view turn);
    // Every time of every record, but those that are 0.
    Status set_back(int64_t by_ns);
    Status remove(std::span<const ApprovalId> ids);

  private:
    ApprovalTable(Database& database, std::vector<Statement> statements)
        : database_(database), statements_(std::move(statements)) {}
    enum Which : size_t { select_all, insert_one, decide_one, use_one, remove_one, set_all_back, take_turn_back };
    Statement& statement(Which which) { return statements_[which]; }

    Database& database_;
    std::vector<Statement> statements_;
};

}  // namespace callgate
