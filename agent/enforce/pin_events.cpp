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

struct Names {
    std::string text;
    size_t count = 0;
    void add(const std::string& name) {
        if (count++ < kNamesMax) text += (text.empty() ? "" : ",") + quoted(std::string_view(name).substr(0, kNameBytesShown));
    }
};

}  // namespace

void record_pins(AuditLog& audit, const std::shared_ptr<const AuditSession>& session, const std::vector<PinTable::News>& news) {
    Names added, refused;
    for (const PinTable::News& each : news) {
        switch (each.what) {
            case PinTable::What::added: added.add(each.key.tool); break;
            case PinTable::What::no_room: refused.add(each.key.tool); break;
            case PinTable::What::changed:
                audit.event("pin_changed", session,
                            {{"tool", quoted(each.key.tool)},
                             {"pinned", quoted(hex(each.accepted))},
                             {"now", quoted(hex(each.now))},
                             {"pin_server", quoted(each.key.server)}});
        }
    }
    for (const auto& [event, names] : {std::pair("pin_added", &added), std::pair("pin_no_room", &refused)}) {
        if (names->count == 0) continue;
        audit.event(event, session,
                    {{"tools", "[" + names->text + "]"},
                     {"count", std::to_string(names->count)},
                     {"pin_server", quoted(news.front().key.server)}});
    }
}

void record_unreadable_list(AuditLog& audit, const std::shared_ptr<const AuditSession>& session, const std::string& server) {
    audit.event("pin_unreadable", session, {{"pin_server", quoted(server)}});
}

}  // namespace callgate
