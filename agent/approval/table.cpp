#include "approval/table.h"

namespace callgate {
namespace {

// 2: an approval is for more than tool and arguments. What was asked for before fits nothing any more. 3: in which turn it was
// used.
constexpr int kVersion = 3;
constexpr char kSchema[] =
    "CREATE TABLE approvals (id TEXT PRIMARY KEY, fingerprint BLOB NOT NULL, policy TEXT NOT NULL, revision TEXT NOT NULL,"
    " method TEXT NOT NULL, tool TEXT NOT NULL, grant_key TEXT NOT NULL, session TEXT NOT NULL, server TEXT NOT NULL,"
    " server_process TEXT NOT NULL, client TEXT NOT NULL, client_claim TEXT NOT NULL, arguments TEXT NOT NULL, other_params TEXT NOT NULL, rule TEXT NOT NULL, reason TEXT NOT NULL, webhook_url TEXT NOT NULL, uid INTEGER NOT NULL,"
    " requested_ns INTEGER NOT NULL, expires_ns INTEGER NOT NULL, dedupe_ns INTEGER NOT NULL,"
    " state INTEGER NOT NULL, decided_ns INTEGER NOT NULL, by_uid INTEGER NOT NULL, by_user TEXT NOT NULL,"
    " by_login_uid INTEGER NOT NULL, by_login TEXT NOT NULL, decision_reason TEXT NOT NULL,"
    " used INTEGER NOT NULL, used_ns INTEGER NOT NULL,"
    " used_turn TEXT NOT NULL DEFAULT '', used_in_turn INTEGER NOT NULL DEFAULT 0) STRICT";
constexpr const char* kSince2[] = {"ALTER TABLE approvals ADD COLUMN used_turn TEXT NOT NULL DEFAULT ''",
                                   "ALTER TABLE approvals ADD COLUMN used_in_turn INTEGER NOT NULL DEFAULT 0"};
// In the order in which they were made, whatever the clock said.
constexpr std::string_view kSelect =
    "SELECT id, fingerprint, policy, revision, method, tool, grant_key, session, server, server_process, client,"
    " client_claim, arguments, other_params, rule, reason, webhook_url, uid, requested_ns, expires_ns, dedupe_ns, state, decided_ns, by_uid, by_user, by_login_uid, by_login,"
    " decision_reason, used, used_ns, used_turn, used_in_turn FROM approvals ORDER BY rowid";
constexpr std::string_view kInsert =
    "INSERT INTO approvals VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,"
    " ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, '', 0)";
// As often used as the book knows; the same of kUse.
constexpr std::string_view kDecide =
    "UPDATE approvals SET state = ?2, decided_ns = ?3, by_uid = ?4, by_user = ?5, by_login_uid = ?6, by_login = ?7,"
    " decision_reason = ?8 WHERE id = ?1 AND used = ?9";
// As often as the book knows: an approval that is used elsewhere in the meantime is not used again.
constexpr std::string_view kUse =
    "UPDATE approvals SET used = used + ?4, used_ns = ?3, used_in_turn = ?4 + iif(used_turn = ?5, used_in_turn, 0), used_turn = ?5"
    " WHERE id = ?1 AND used = ?2 AND state = 1";
constexpr std::string_view kTakeBack =
    "UPDATE approvals SET used = used - used_in_turn, used_turn = '', used_in_turn = 0 WHERE used_turn = ?1";
constexpr std::string_view kRemove = "DELETE FROM approvals WHERE id = ?1";
constexpr std::string_view kSetBack =
    "UPDATE approvals SET requested_ns = requested_ns - ?1, expires_ns = expires_ns - ?1,"
    " decided_ns = iif(decided_ns = 0, 0, decided_ns - ?1), used_ns = iif(used_ns = 0, 0, used_ns - ?1)";

// The numbers are in files.
ApprovalState state_of(int64_t number) {
    for (ApprovalState each : {ApprovalState::approved, ApprovalState::denied, ApprovalState::revoked}) {
        if (static_cast<int64_t>(each) == number) return each;
    }
    return ApprovalState::pending;
}
static_assert(static_cast<int>(ApprovalState::approved) == 1 && static_cast<int>(ApprovalState::denied) == 2 &&
              static_cast<int>(ApprovalState::revoked) == 3);

ApprovalRecord record_of(const Row& row) {
    ApprovalRecord record;
    const std::string_view id = row.text(0), fingerprint = row.blob(1);
    std::copy_n(id.begin(), std::min(id.size(), record.id.text.size()), record.id.text.begin());
    std::copy_n(fingerprint.begin(), std::min(fingerprint.size(), record.fingerprint.size()), record.fingerprint.begin());
    int column = 2;
    for (std::string* text : {&record.policy, &record.revision, &record.method, &record.tool, &record.grant, &record.session,
                              &record.server, &record.server_process, &record.client, &record.client_claim, &record.arguments,
                              &record.other_params, &record.rule, &record.reason, &record.webhook_url}) {
        *text = row.text(column++);
    }
    record.uid = row.integer(column++);
    record.requested_ns = row.integer(column++);
    record.expires_ns = row.integer(column++);
    record.dedupe_ns = row.integer(column++);
    record.state = state_of(row.integer(column++));
    record.decided_ns = row.integer(column++);
    record.by.uid = row.integer(column++);
    record.by.user = row.text(column++);
    record.by.login_uid = row.integer(column++);
    record.by.login = row.text(column++);
    record.decision_reason = row.text(column++);
    record.used = row.integer(column++);
    record.used_ns = row.integer(column++);
    record.used_turn = row.text(column++);
    record.used_in_turn = row.integer(column++);
    return record;
}

Status upgrade(Database& database, int from) {
    if (from == 2) {
        for (const char* sql : kSince2) TRY_VOID(database.execute(sql));
        return {};
    }
    TRY_VOID(database.execute("DROP TABLE approvals"));
    return database.execute(kSchema);
}

}  // namespace

Result<std::unique_ptr<ApprovalTable>> ApprovalTable::open(Database& database) {
    const Status used = database.use_schema("approvals", kVersion, kSchema, [&](int found) { return upgrade(database, found); });
    if (!used) return used.error();
    std::vector<Statement> statements;
    for (std::string_view sql : {kSelect, kInsert, kDecide, kUse, kRemove, kSetBack, kTakeBack})
        statements.push_back(TRY(database.prepare(sql)));
    return std::unique_ptr<ApprovalTable>(new ApprovalTable(database, std::move(statements)));
}

Status ApprovalTable::each(const std::function<void(ApprovalRecord)>& use) {
    return statement(select_all).each([&](const Row& row) { use(record_of(row)); });
}

Status ApprovalTable::insert(const ApprovalRecord& r) {
    return statement(insert_one)
        .run(r.id.view(), Blob{{r.fingerprint.data(), r.fingerprint.size()}}, r.policy, r.revision, r.method, r.tool, r.grant,
             r.session, r.server, r.server_process, r.client, r.client_claim, r.arguments, r.other_params, r.rule, r.reason,
             r.webhook_url, r.uid, r.requested_ns, r.expires_ns, r.dedupe_ns, static_cast<int>(r.state), r.decided_ns, r.by.uid,
             r.by.user, r.by.login_uid, r.by.login, r.decision_reason, r.used, r.used_ns);
}

Status ApprovalTable::update_decision(const ApprovalRecord& r) {
    Statement& decide = statement(decide_one);
    TRY_VOID(decide.run(r.id.view(), static_cast<int>(r.state), r.decided_ns, r.by.uid, r.by.user, r.by.login_uid, r.by.login,
                        r.decision_reason, r.used));
    if (decide.changed() != 1)
        return Error::refused(database_.path(), "has no approval " + std::string(r.id.view()) + " that is used so often");
    return {};
}

Status ApprovalTable::take_back(std::string_view turn) { return statement(take_turn_back).run(turn); }

Status ApprovalTable::add_use(std::span<const Use> uses, int64_t now_ns, std::string_view turn) {
    return database_.write([&]() -> Status {
        Statement& add = statement(use_one);
        for (const Use& use : uses) {
            TRY_VOID(add.run(use.record->id.view(), use.record->used, now_ns, use.times, turn));
            if (add.changed() != 1)
                return Error::refused(database_.path(), "has no approval " + std::string(use.record->id.view()) + " to use");
        }
        return {};
    });
}

Status ApprovalTable::set_back(int64_t by_ns) { return statement(set_all_back).run(by_ns); }

Status ApprovalTable::remove(std::span<const ApprovalId> ids) {
    return database_.write([&]() -> Status {
        for (const ApprovalId& id : ids) TRY_VOID(statement(remove_one).run(id.view()));
        return {};
    });
}

}  // namespace callgate
