// callgate replay POLICY AUDIT…: what a policy would have decided on recorded traffic.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "audit/safe_text.h"
#include "cli.h"
#include "replay/audit_files.h"
#include "replay/replay.h"

namespace callgate {
namespace {

using nlohmann::json;

json as_json(const Difference& difference) {
    return {{"call", difference.subject}, {"was", name(difference.was)}, {"now", difference.now},
            {"rule", difference.rule},    {"id", difference.id},         {"time", difference.time}};
}

json as_json(const ReplayReport& report, bool with_each) {
    json out = {{"judged", report.judged},
                {"different", report.different},
                {"unknown", report.unknown},
                {"not_judged",
                 {{"other_servers", report.other_servers},
                  {"refused", report.refused},
                  {"unreadable", report.unreadable},
                  {"lost", report.lost}}},
                {"differences", json::array()}};
    for (const Difference& difference : report.table) {
        json row = as_json(difference);
        row["count"] = difference.count;
        out["differences"].push_back(std::move(row));
    }
    if (!with_each) return out;
    out["calls"] = json::array();
    for (const Difference& difference : report.each) out["calls"].push_back(as_json(difference));
    return out;
}

// Columns as wide as what is in them.
void print_table(const std::vector<Difference>& rows, bool with_count) {
    std::vector<std::vector<std::string>> table = {{"CALL", "CALLS", "WAS", "NOW", "RULE", "FIRST", "TIME"}};
    if (!with_count) table[0][5] = "ID";
    for (const Difference& row : rows) {
        table.push_back({terminal_text(row.subject), std::to_string(row.count), std::string(name(row.was)), row.now,
                         terminal_text(row.rule), terminal_text(row.id), terminal_text(row.time)});
    }
    std::vector<size_t> widths(table[0].size());
    for (const auto& row : table) {
        for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    for (const auto& row : table) {
        std::string line;
        for (size_t i = 0; i < row.size(); ++i) {
            if (i == 1 && !with_count) continue;
            line += row[i];
            if (i + 1 < row.size()) line.append(widths[i] - row[i].size() + 2, ' ');
        }
        printf("%s\n", line.c_str());
    }
}

void print_summary(const ReplayReport& report) {
    printf("%zu judged: %zu different, %zu unknown", report.judged, report.different, report.unknown);
    const std::pair<size_t, const char*> rest[] = {{report.other_servers, "of other servers"},
                                                   {report.refused, "refused as no messages"},
                                                   {report.unreadable, "lines unreadable"},
                                                   {static_cast<size_t>(report.lost), "lost when they were recorded"}};
    const char* separator = "; not judged: ";
    for (const auto& [count, what] : rest) {
        if (count == 0) continue;
        printf("%s%zu %s", separator, count, what);
        separator = ", ";
    }
    printf("\n");
}

}  // namespace

int replay_audit(const ReplayOptions& options) {
    std::shared_ptr<const Policy> policy = load_policy_file(options.policy_file);
    if (policy == nullptr) return kExitConfig;
    Result<AuditFiles> files = AuditFiles::open(options.audit_files);
    if (!files.ok()) {
        print_error(files.error().text());
        return kExitUsage;
    }
    Replay replay(std::move(policy), {options.any_server, options.all});
    while (std::optional<AuditRecord> record = files->next()) replay.take(std::move(*record));
    ReplayReport report = replay.finish();
    report.unreadable += files->unreadable();
    if (options.as_json) {
        print_json(as_json(report, options.all));
    } else {
        if (!report.table.empty()) print_table(options.all ? report.each : report.table, !options.all);
        print_summary(report);
    }
    if (!files->failure().empty()) {
        print_error(files->failure() + "; what came before it was judged");
        return kExitUsage;
    }
    if (report.unreadable > 0 && report.judged + report.other_servers + report.refused == 0) {
        print_error("not one line is a message of an audit file of callgate");
        return kExitUsage;
    }
    return report.different > 0 ? kExitNo : kExitDone;
}

}  // namespace callgate
