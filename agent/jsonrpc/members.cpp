#include "jsonrpc/members.h"

#include "jsonrpc/keys.h"

namespace callgate {
namespace {

Member params_member(std::string_view key) {
    switch (key.size()) {
        case 3: return key == "uri" ? Member::uri : Member::none;
        case 4: return key == "name" ? Member::name : Member::none;
        case 5: return key == "_meta" ? Member::meta : Member::none;
        case 7: return key == "rootUri" ? Member::root_uri : Member::none;
        case 9:
            if (key == "arguments") return Member::arguments;
            if (key == "requestId") return Member::request_id;
            return key == "processId" ? Member::process_id : Member::none;
        case 10: return key == "clientInfo" ? Member::client_info : Member::none;
        case 15: return key == "protocolVersion" ? Member::protocol_version : Member::none;
        default: return Member::none;
    }
}

}  // namespace

Member member_below_envelope(Place place, std::string_view key) {
    switch (place) {
        case Place::params: return params_member(key);
        case Place::meta:
            if (key == "io.modelcontextprotocol/protocolVersion") return Member::meta_protocol_version;
            return key == "io.modelcontextprotocol/clientInfo" ? Member::meta_client_info : Member::none;
        case Place::client_info:
            if (key == "name") return Member::client_name;
            return key == "version" ? Member::client_version : Member::none;
        case Place::meta_client_info:
            if (key == "name") return Member::meta_client_name;
            return key == "version" ? Member::meta_client_version : Member::none;
        case Place::result: return key == "isError" ? Member::is_error : Member::none;
        case Place::error: return key == "code" ? Member::error_code : Member::none;
        case Place::envelope:
        case Place::arguments:
        case Place::other: return Member::none;
    }
    return Member::none;
}

Place place_of(Member member) {
    switch (member) {
        case Member::params: return Place::params;
        case Member::result: return Place::result;
        case Member::error: return Place::error;
        case Member::arguments: return Place::arguments;
        case Member::meta: return Place::meta;
        case Member::client_info: return Place::client_info;
        case Member::meta_client_info: return Place::meta_client_info;
        case Member::none:
        case Member::jsonrpc:
        case Member::id:
        case Member::method:
        case Member::name:
        case Member::uri:
        case Member::protocol_version:
        case Member::process_id:
        case Member::root_uri:
        case Member::request_id:
        case Member::client_name:
        case Member::client_version:
        case Member::meta_protocol_version:
        case Member::meta_client_name:
        case Member::meta_client_version:
        case Member::is_error:
        case Member::error_code:
        case Member::count: return Place::other;
    }
    return Place::other;
}

bool is_misspelt_member(Place place, std::string_view key) {
    switch (place) {
        case Place::envelope: return is_lenient_match(key, {"jsonrpc", "id", "method", "params", "result", "error"});
        case Place::params:
            return is_lenient_match(key, {"name", "arguments", "uri", "_meta", "task", "inputResponses", "requestState", "cursor",
                                          "protocolVersion"});
        case Place::arguments:
        case Place::meta:
        case Place::client_info:
        case Place::meta_client_info:
        case Place::result:
        case Place::error:
        case Place::other: return false;
    }
    return false;
}

}  // namespace callgate
