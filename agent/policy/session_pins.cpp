#include "policy/session_pins.h"

#include "base/clock.h"
#include "base/limits.h"
#include "jsonrpc/tools_list.h"

namespace callgate {

bool SessionPins::observe(std::string_view policy, std::string_view response, const std::function<bool(std::string_view)>& pins,
                          std::vector<PinTable::News>& news) {
    if (!table_) return true;
    std::vector<PinTable::Seen> tools;
    std::unordered_map<std::string, size_t> places;
    const bool is_list = read_tool_definitions(response, [&](std::string_view name, std::string_view definition) {
        if (name.empty() || name.size() > kNameBytesMax || !pins(name)) return;
        PinTable::Seen seen{std::string(name), definition_of(definition)};
        const auto [place, is_first] = places.emplace(seen.tool, tools.size());
        if (is_first) {
            tools.push_back(std::move(seen));
            return;
        }
        // A name that a list has twice is neither of the two: clients differ in which they take.
        Definition& twin = tools[place->second].definition;
        if (twin.hash != seen.definition.hash) twin = definition_of("\"" + hex(twin.hash) + hex(seen.definition.hash) + "\"");
    });
    if (tools.empty()) return is_list;
    table_->observe(policy, server_, tools, realtime_ns(), news);
    for (const PinTable::Seen& tool : tools) {
        const DefinitionHash& hash = tool.definition.hash;
        const auto known = seen_.find(tool.tool);
        if (known == seen_.end() && !has_room(tool.tool)) {
            if (!std::exchange(is_full_, true))
                news.push_back({{std::string(policy), server_, tool.tool}, hash, hash, PinTable::What::no_room});
        } else if (table_->find({policy, server_, tool.tool}) == nullptr) {
            const bool is_news = known == seen_.end() || known->second.has_value();
            remember(tool.tool, std::nullopt);
            if (is_news) news.push_back({{std::string(policy), server_, tool.tool}, hash, hash, PinTable::What::no_room});
        } else if (known == seen_.end()) {
            remember(tool.tool, hash);
        } else if (!is_changed(policy, tool.tool)) {
            known->second = hash;
        }
    }
    return is_list;
}

bool SessionPins::has_room(std::string_view tool) const {
    return seen_bytes_ + kPinOverheadBytes + tool.size() <= kPinBytesPerServerMax;
}

void SessionPins::remember(const std::string& tool, const std::optional<DefinitionHash>& hash) {
    if (seen_.insert_or_assign(tool, hash).second) seen_bytes_ += kPinOverheadBytes + tool.size();
}

void SessionPins::restore(const Saved& saved) {
    seen_.clear();
    seen_bytes_ = 0;
    for (const auto& [tool, hash] : saved.seen) remember(tool, hash);
    is_unreadable_ = saved.is_unreadable;
    is_full_ = saved.is_full;
}

bool SessionPins::is_changed(std::string_view policy, std::string_view tool) const {
    if (!table_) return false;
    if (is_unreadable_) return true;
    const Pin* pin = table_->find({policy, server_, tool});
    const auto seen = seen_.find(tool);
    if (seen == seen_.end()) return is_full_ || (pin != nullptr && pin->changed.has_value());
    if (pin == nullptr) return !seen->second.has_value();
    return seen->second != pin->accepted.hash;
}

}  // namespace callgate
