// Fields: the field lines of one head, in order, and the look-up of those that callgate knows.
//
//   "Host: a\r\nX: 1\r\nMcp-Name: b\r\nMcp-Name: c\r\n"
//     find(KnownField::host)      ->  one "a"
//     find(KnownField::mcp_name)  ->  many ("b" is not to be believed: another reader takes "c", or "b, c")
//     find(KnownField::upgrade)   ->  none
//
// Names compare without case (RFC 9110 §5.1). Views point into the head's bytes and live as long as those.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace callgate {

// Every field that callgate reads or rewrites, as X(enumerator, "name-in-lower-case").
#define CALLGATE_KNOWN_FIELDS(X)                    \
    X(accept, "accept")                             \
    X(accept_encoding, "accept-encoding")           \
    X(authorization, "authorization")               \
    X(connection, "connection")                     \
    X(content_digest, "content-digest")             \
    X(content_encoding, "content-encoding")         \
    X(content_length, "content-length")             \
    X(content_md5, "content-md5")                   \
    X(content_type, "content-type")                 \
    X(digest, "digest")                             \
    X(etag, "etag")                                 \
    X(expect, "expect")                             \
    X(host, "host")                                 \
    X(http2_settings, "http2-settings")             \
    X(keep_alive, "keep-alive")                     \
    X(last_event_id, "last-event-id")               \
    X(mcp_method, "mcp-method")                     \
    X(mcp_name, "mcp-name")                         \
    X(mcp_protocol_version, "mcp-protocol-version") \
    X(mcp_session_id, "mcp-session-id")             \
    X(origin, "origin")                             \
    X(proxy_connection, "proxy-connection")         \
    X(repr_digest, "repr-digest")                   \
    X(te, "te")                                     \
    X(trailer, "trailer")                           \
    X(transfer_encoding, "transfer-encoding")       \
    X(upgrade, "upgrade")

enum class KnownField : uint8_t {
#define CALLGATE_FIELD(enumerator, text) enumerator,
    CALLGATE_KNOWN_FIELDS(CALLGATE_FIELD)
#undef CALLGATE_FIELD
        other,  // every other name; also how many known ones there are
};
// By name in any case; other where it is none.
KnownField known_field(std::string_view name);
std::string_view name(KnownField field);  // in lower case; empty for other

struct Field {
    std::string_view name;   // as written
    std::string_view value;  // without the white space around it
    KnownField known = KnownField::other;
};

// How often a field occurs, and its value where that is certain.
struct FieldLookup {
    enum class Count : uint8_t { none, one, many };
    Count count = Count::none;
    std::string_view value;  // empty unless count is one

    bool none() const { return count == Count::none; }
    bool one() const { return count == Count::one; }
    bool many() const { return count == Count::many; }
    bool is(std::string_view wanted) const { return one() && value == wanted; }
};

class Fields {
  public:
    void clear();
    void add(const Field& field);  // `known` must be set

    const std::vector<Field>& all() const { return all_; }
    bool has(KnownField field) const { return counts_[static_cast<size_t>(field)] > 0; }
    FieldLookup find(KnownField field) const;
    // Fields that nobody needs often: by name, in any case.
    FieldLookup find(std::string_view name) const;

  private:
    static constexpr auto kKnown = static_cast<size_t>(KnownField::other);
    std::vector<Field> all_;
    std::array<uint16_t, kKnown> counts_{}, first_{};  // how many, and the first one's place in all_
};

// Equal but for the case of ASCII letters.
bool equal_ignoring_case(std::string_view a, std::string_view b);

}  // namespace callgate
