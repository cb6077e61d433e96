#include "policy/counter_listing.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "policy/amount.h"
#include "policy/limit.h"

namespace callgate {
namespace {

using nlohmann::json;

std::vector<std::string> parts_of(std::string_view key) {
    std::vector<std::string> parts(1);
    for (const char c : key) {
        if (c == kKeySeparator) {
            parts.emplace_back();
        } else {
            parts.back() += c;
        }
    }
    return parts;
}

std::string scope_name(const std::string& server, char letter) {
    switch (letter) {
        case 'g': return "grant";
        case 'u': return "user";
        case 's': return "session";
        case 't': return "tool";
        default: return server.empty() ? "host" : "server";
    }
}

// A sum is shown in its own units.
json quantity(int64_t amount, int32_t scale) {
    if (scale != kAmountScale || amount % kAmountScale == 0) return amount / scale;
    return json(static_cast<double>(amount) / static_cast<double>(kAmountScale));
}

json row_json(const CounterTable::Row& row) {
    json shown = {{"name", counter_name(row.key)},
                  {"kind", name(row.kind)},
                  {"count", quantity(row.count, row.scale)},
                  {"max", quantity(row.max, row.scale)}};
    if (row.kind != CounterKind::in_flight) {
        shown["window_s"] = row.window_s;
        shown["window_start"] = row.window_start_s;
    }
    // A key that was shortened has lost its last parts.
    std::vector<std::string> parts = parts_of(row.key);
    if (parts.size() < 4 || parts[1].size() < 2) return shown;
    shown["server"] = parts[0];
    shown["scope"] = scope_name(parts[0], parts[1][0]);
    shown["caller"] = parts[1].substr(2);
    if (parts.size() == 5) shown["tool"] = parts[2];
    shown["counter"] = parts[parts.size() - 2];
    return shown;
}

}  // namespace

std::string counter_name(std::string_view key) {
    std::string name(key);
    std::replace(name.begin(), name.end(), kKeySeparator, '|');
    return name;
}

json counters_json(const std::vector<CounterTable::Row>& rows) {
    json list = json::array();
    for (size_t i = 0; i < std::min(rows.size(), kCountersListedMax); ++i) list.push_back(row_json(rows[i]));
    return {{"counters", std::move(list)}, {"total", rows.size()}};
}

}  // namespace callgate
