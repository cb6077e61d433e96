#include "enforce/pin_events.h"

#include "audit/json_members.h"

namespace callgate {
namespace {

// Names in one record; more are only counted.
constexpr size_t kNamesMax = 64;
constexpr size_t kNameBytesShown = 256;

std::string quoted(std::string_view text) {
    std::string out;
    append_json_text(out, text);
    return out;
}

}  // namespace

void record_pins(AuditLog& audit, const std::shared_ptr<const AuditSession>& session, const std::vector<PinTable::News>& news) {
    std::string names;
    size_t added = 0;
    for (const PinTable::News& each : news) {
        if (each.accepted != each.now) {
            audit.event("pin_changed", session,
                        {{"tool", quoted(each.key.tool)}, {"pinned", quoted(hex(each.accepted))}, {"now", quoted(hex(each.now))},
                         {"pin_server", quoted(each.key.server)}});
        } else if (added++ < kNamesMax) {
            names += (names.empty() ? "" : ",") + quoted(each.key.tool.substr(0, kNameBytesShown));
        }
    }
    if (added == 0) return;
    audit.event("pin_added", session, {{"tools", "[" + names + "]"}, {"count", std::to_string(added)}, {"pin_server", quoted(news.front().key.server)}});
}

void record_unreadable_list(AuditLog& audit, const std::shared_ptr<const AuditSession>& session, const std::string& server) {
    audit.event("pin_unreadable", session, {{"pin_server", quoted(server)}});
}

}  // namespace callgate
