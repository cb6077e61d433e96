// callgate pins list|show|accept|reset
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>

#include "audit/safe_text.h"
#include "base/counted.h"
#include "base/text_diff.h"
#include "cli.h"

namespace callgate {
namespace {

using nlohmann::json;

// Pins of one request, which the agent reads only up to 64 KiB: names are up to a KiB.
constexpr size_t kPinsPerRequest = 20;

json only(const PinOptions& options) { return {{"policy", options.policy}, {"server", options.server}, {"tool", options.tool}}; }

// The pins that are named; with `changed` only those whose definition has changed.
int find(const PinOptions& options, bool with_text, bool changed, json& pins, size_t& left_out) {
    json result;
    int code = kExitDone;
    if (!send_agent(options.control_socket, {{"verb", "pins"}, {"only", only(options)}, {"text", with_text}}, result, code))
        return code;
    pins = json::array();
    const json& all = member(result, "pins");
    for (const json& each : all.is_array() ? all : json::array()) {
        if (!changed || member(each, "state") == "changed") pins.push_back(each);
    }
    const json& total = member(result, "total");
    left_out =
        total.is_number_unsigned() && all.is_array() && total.get<size_t>() > all.size() ? total.get<size_t>() - all.size() : 0;
    return kExitDone;
}

std::string place_of(const json& pin) {
    return shown(member(pin, "policy")) + "  " + shown(member(pin, "server")) + "  " + shown(member(pin, "tool"));
}

void print_pin(const json& pin) {
    const json& changed = member(pin, "changed");
    printf("%-8s %s  %.16s since %s\n", shown(member(pin, "state")).c_str(), place_of(pin).c_str(),
           shown(member(pin, "hash")).c_str(), shown(member(pin, "since")).c_str());
    if (changed.is_object()) {
        printf("         now %.16s, seen first %s\n", shown(member(changed, "hash")).c_str(),
               shown(member(changed, "since")).c_str());
    }
}

// A definition as people read it, line by line; one that was cut is no JSON any more.
std::vector<std::string> lines_of(const json& text) {
    const std::string whole = text.is_string() ? text.get<std::string>() : std::string();
    const json parsed = json::parse(whole, nullptr, false);
    std::istringstream stream(parsed.is_discarded() ? whole : parsed.dump(2, ' ', false, json::error_handler_t::replace));
    std::vector<std::string> lines;
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

void print_cut(const char* which, const json& definition) {
    const json &bytes = member(definition, "bytes"), &kept = member(definition, "text_bytes");
    if (!bytes.is_number_unsigned() || !kept.is_number_unsigned() || bytes.get<size_t>() <= kept.get<size_t>()) return;
    printf("  (cut: of the %s definition %zu of %zu bytes are kept; its hash is of all of it)\n", which, kept.get<size_t>(),
           bytes.get<size_t>());
}

void print_definition(const json& pin) {
    print_pin(pin);
    const std::vector<std::string> pinned = lines_of(member(pin, "text"));
    const json& changed = member(pin, "changed");
    const std::vector<std::string> now = changed.is_object() ? lines_of(member(changed, "text")) : pinned;
    for (const std::string& line : line_diff(pinned, now)) printf("  %s\n", terminal_text(line).c_str());
    print_cut("pinned", pin);
    print_cut("changed", changed);
}

// What is done is done to what was shown: a definition that has changed again meanwhile is not accepted.
int change(const PinOptions& options, const char* verb, bool changed, const char* done_word) {
    if (options.policy.empty() == !options.all) {
        print_error("name the policy, and the tool if it is only one, as \"callgate pins\" lists them, or give --all");
        return kExitUsage;
    }
    json pins;
    size_t left_out = 0;
    if (int code = find(options, false, changed, pins, left_out)) return code;
    if (pins.empty()) {
        print_error(changed ? "no definition of these has changed; \"callgate pins\" lists them"
                            : "nothing of that name is pinned; \"callgate pins\" lists what is");
        return kExitNo;
    }
    const std::string what = counted(pins.size(), changed ? "changed definition" : "pinned definition");
    if (!options.yes) {
        for (const json& pin : pins) print_pin(pin);
    }
    if (int code = confirm(options.yes, (changed ? "Accept " : "Forget ") + what + "?",
                           (changed ? "accepts " : "forgets ") + what + "; look at them with \"callgate pins show\"")) {
        return code;
    }
    size_t done = 0;
    for (size_t at = 0; at < pins.size(); at += kPinsPerRequest) {
        json some = json::array();
        for (size_t i = at; i < std::min(at + kPinsPerRequest, pins.size()); ++i) {
            json one = {{"policy", pins[i]["policy"]}, {"server", pins[i]["server"]}, {"tool", pins[i]["tool"]}};
            if (changed) one["hash"] = pins[i]["changed"]["hash"];
            some.push_back(std::move(one));
        }
        json result;
        int code = kExitDone;
        if (!send_agent(options.control_socket, {{"verb", verb}, {"pins", std::move(some)}}, result, code)) return code;
        if (const json& number = member(result, "done"); number.is_number_unsigned()) done += number.get<size_t>();
    }
    printf("%zu %s\n", done, done_word);
    if (done == pins.size() && left_out == 0) return kExitDone;
    print_error(left_out ? std::to_string(left_out) + " more were not listed; repeat it"
                         : "the others have changed again meanwhile; look at them again");
    return kExitNo;
}

}  // namespace

int list_pins(const PinOptions& options) {
    json pins;
    size_t left_out = 0;
    if (int code = find(options, false, options.only_changed, pins, left_out)) return code;
    if (options.as_json) {
        print_json({{"pins", pins}, {"left_out", left_out}});
        return kExitDone;
    }
    if (pins.empty()) printf(options.only_changed ? "nothing has changed\n" : "no pins\n");
    for (const json& pin : pins) print_pin(pin);
    if (left_out > 0) printf("… and %zu more\n", left_out);
    return kExitDone;
}

int show_pins(const PinOptions& options) {
    json pins;
    size_t left_out = 0;
    if (int code = find(options, true, options.only_changed, pins, left_out)) return code;
    if (options.as_json) {
        print_json({{"pins", pins}, {"left_out", left_out}});
    } else {
        for (const json& pin : pins) print_definition(pin);
        if (left_out > 0) printf("… and %zu more; name the tool\n", left_out);
    }
    if (!pins.empty()) return kExitDone;
    print_error("nothing of that name is pinned; \"callgate pins\" lists what is");
    return kExitNo;
}

int accept_pins_asked(const PinOptions& options) { return change(options, "pins_accept", true, "accepted"); }

int reset_pins_asked(const PinOptions& options) { return change(options, "pins_reset", false, "forgotten"); }

}  // namespace callgate
