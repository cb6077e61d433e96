#include "lifecycle/pins_json.h"

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/limits.h"
#include "lifecycle/session_json.h"

namespace callgate {
namespace {

using nlohmann::json;

// Definitions are long: so many at a time.
constexpr size_t kTextsMax = 64;

std::string text_of(const json& object, const char* key) {
    const auto found = object.is_object() ? object.find(key) : object.end();
    return object.is_object() && found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

json definition_json(const Definition& definition, bool with_text) {
    json made = {{"hash", hex(definition.hash)}, {"since", utc_text(definition.since_ns)}, {"bytes", definition.bytes}};
    if (with_text) {
        made["text"] = definition.text;
        made["text_bytes"] = definition.text.size();
    }
    return made;
}

json pin_json(const PinKey& key, const Pin& pin, bool with_text) {
    json made = definition_json(pin.accepted, with_text);
    made.update(
        {{"policy", key.policy}, {"server", key.server}, {"tool", key.tool}, {"state", pin.changed ? "changed" : "pinned"}});
    if (pin.changed) made["changed"] = definition_json(*pin.changed, with_text);
    return made;
}

template <typename Each>
json for_each_asked(const json& request, std::vector<PinKey>& done, const Each& each) {
    const json asked = request.value("pins", json::array());
    for (const json& one : asked.is_array() ? asked : json::array()) {
        PinKey key{text_of(one, "policy"), text_of(one, "server"), text_of(one, "tool")};
        if (each(key, text_of(one, "hash"))) done.push_back(std::move(key));
    }
    return {{"done", done.size()}};
}

}  // namespace

json pins_json(const PinTable& table, const json& request) {
    const json only = request.value("only", json::object());
    const std::string policy = text_of(only, "policy"), server = text_of(only, "server"), tool = text_of(only, "tool");
    const bool with_text = request.value("text", json(false)) == true;
    const auto is_asked_for = [](const std::string& wanted, const std::string& has) { return wanted.empty() || wanted == has; };
    json list = json::array();
    size_t total = 0;
    for (const auto& [key, pin] : table.pins()) {
        if (!is_asked_for(policy, key.policy) || !is_asked_for(server, key.server) || !is_asked_for(tool, key.tool)) continue;
        ++total;
        if (list.size() < (with_text ? kTextsMax : kPinsListedMax)) list.push_back(pin_json(key, pin, with_text));
    }
    return {{"pins", std::move(list)}, {"total", total}};
}

json accept_pins(PinTable& table, const json& request, std::vector<PinKey>& done) {
    return for_each_asked(request, done, [&](const PinKey& key, const std::string& hash) {
        const Pin* pin = table.find(key.view());
        return pin != nullptr && pin->changed && hex(pin->changed->hash) == hash &&
               table.accept(key, pin->changed->hash, realtime_ns());
    });
}

json reset_pins(PinTable& table, const json& request, std::vector<PinKey>& done) {
    return for_each_asked(request, done, [&](const PinKey& key, const std::string&) { return table.reset(key, realtime_ns()); });
}

}  // namespace callgate
