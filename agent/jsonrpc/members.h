// Which members of a message mean something, and where: a name alone says nothing, `params.name` does.
//
//   (Place::envelope, "params") -> Member::params;  place_of(Member::params) -> Place::params
#pragma once
#include <cstdint>
#include <string_view>

namespace callgate {

enum class Place : uint8_t { envelope, params, arguments, meta, client_info, meta_client_info, result, error, other };

enum class Member : uint8_t {
    none,
    // envelope
    jsonrpc,
    id,
    method,
    params,
    result,
    error,
    // params
    name,
    uri,
    arguments,
    meta,
    protocol_version,
    client_info,
    process_id,
    root_uri,
    request_id,
    // params.clientInfo
    client_name,
    client_version,
    // params._meta and its clientInfo
    meta_protocol_version,
    meta_client_info,
    meta_client_name,
    meta_client_version,
    // result, error
    is_error,
    error_code,
    count,
};

inline Member envelope_member(std::string_view key) {
    switch (key.size()) {
        case 2: return key == "id" ? Member::id : Member::none;
        case 5: return key == "error" ? Member::error : Member::none;
        case 6:
            if (key == "method") return Member::method;
            if (key == "params") return Member::params;
            return key == "result" ? Member::result : Member::none;
        case 7: return key == "jsonrpc" ? Member::jsonrpc : Member::none;
        default: return Member::none;
    }
}
Member member_below_envelope(Place place, std::string_view key);
inline Member member_of(Place place, std::string_view key) {
    return place == Place::envelope ? envelope_member(key) : member_below_envelope(place, key);
}
// The place that an object is, which is the value of `member`.
Place place_of(Member member);
// The key is a protocol member of `place` in a spelling that only some readers accept.
bool is_misspelt_member(Place place, std::string_view key);

}  // namespace callgate
