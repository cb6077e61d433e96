#include "draft/server_dialog.h"

#include <nlohmann/json.hpp>

#include "base/limits.h"

namespace callgate {
namespace {

using nlohmann::json;

constexpr char kRevision[] = "2025-11-25", kStatelessRevision[] = "2026-07-28";
// What is sent with it must fit into a pipe that the server does not read at that moment.
constexpr size_t kCursorBytesMax = 4096;

json client_info() { return {{"name", "callgate-draft"}, {"version", "1"}}; }

json request(int id, const char* method, json params) {
    return {{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", std::move(params)}};
}

}  // namespace

Result<ToolListing> list_tools(ServerChannel& channel, const std::string& where) {
    const std::string greeting = TRY(channel.ask(request(
        1, "initialize", {{"protocolVersion", kRevision}, {"capabilities", json::object()}, {"clientInfo", client_info()}})));
    const json answer = json::parse(greeting, nullptr, false);
    json meta;
    if (answer.is_object() && answer.contains("result")) {
        const json& result = answer["result"];
        const bool names_version =
            result.is_object() && result.contains("protocolVersion") && result["protocolVersion"].is_string();
        channel.agreed(names_version ? result["protocolVersion"].get<std::string>() : kRevision);
        TRY_VOID(channel.tell({{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}}));
    } else {
        channel.agreed(kStatelessRevision);
        meta = {{"io.modelcontextprotocol/protocolVersion", kStatelessRevision},
                {"io.modelcontextprotocol/clientInfo", client_info()},
                {"io.modelcontextprotocol/clientCapabilities", json::object()}};
    }
    ToolListing listing;
    std::string cursor;
    for (size_t page = 0; page < kDraftPagesMax; ++page) {
        json params = json::object();
        if (!cursor.empty()) params["cursor"] = cursor;
        if (!meta.is_null()) params["_meta"] = meta;
        const std::string listed = TRY(channel.ask(request(static_cast<int>(page) + 2, "tools/list", std::move(params))));
        cursor = TRY(listing.add_answer(listed, where));
        if (cursor.empty()) return listing;
        if (cursor.size() > kCursorBytesMax) return Error::invalid(where, "the cursor of the next page of tools is too long");
    }
    return Error::invalid(where, "its list of tools has more than " + std::to_string(kDraftPagesMax) + " pages");
}

bool answers(std::string_view text, const json& id, std::string& reply) {
    const json message = json::parse(text, nullptr, false);
    if (!message.is_object() || !message.contains("id")) return false;
    if (!message.contains("method")) return message["id"] == id;
    json out = {{"jsonrpc", "2.0"}, {"id", message["id"]}};
    if (message["method"] == "ping") {
        out["result"] = json::object();
    } else {
        out["error"] = {{"code", -32601}, {"message", "Method not found"}};
    }
    reply = out.dump(-1, ' ', true, json::error_handler_t::replace);
    return false;
}

}  // namespace callgate
