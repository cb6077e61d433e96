#include "enforce/mcp_fields.h"

#include "jsonrpc/answer.h"

namespace callgate {
namespace {

bool says(const FieldLookup& field, std::string_view wanted) {
    if (field.value == wanted) return true;
    const std::optional<std::string> decoded = decode_mcp_value(field.value);
    return decoded && *decoded == wanted;
}

}  // namespace

std::string_view field_disagreement(const Fields& fields, const Message& message) {
    const FieldLookup method = fields.find(KnownField::mcp_method), name = fields.find(KnownField::mcp_name);
    if (!method.none() && !says(method, message.method)) return "Mcp-Method is not the method of the body";
    if (name.none()) return {};
    // Other methods have no name that anything is decided by.
    if (message.method == "resources/read") return says(name, message.uri) ? "" : "Mcp-Name is not the uri of the body";
    if (message.method != "tools/call" && message.method != "prompts/get") return {};
    return says(name, message.name) ? "" : "Mcp-Name is not the name in the body";
}

std::string_view field_disagreement_of_array(const Fields& fields) {
    if (!fields.has(KnownField::mcp_method) && !fields.has(KnownField::mcp_name)) return {};
    return "Mcp-Method and Mcp-Name belong to one message, the body is an array";
}

bool has_repeated_mcp_field(const Fields& fields) {
    for (const KnownField field :
         {KnownField::mcp_session_id, KnownField::mcp_protocol_version, KnownField::mcp_method, KnownField::mcp_name}) {
        if (fields.find(field).many()) return true;
    }
    return false;
}

void append_field_disagreement(std::string& out, std::string_view id_token, std::string_view disagreement) {
    out += R"({"jsonrpc":"2.0",)";
    if (!id_token.empty()) out.append(R"("id":)").append(id_token).append(",");
    out.append(R"("error":{"code":)").append(std::to_string(kCodeHeaderMismatch)).append(R"(,"message":)");
    append_json_string(out, "Header mismatch: " + std::string(disagreement) + ".");
    out += "}}\n";
}

}  // namespace callgate
