#include "jsonrpc/message.h"

#include <algorithm>
#include <charconv>

#include "jsonrpc/id.h"
#include "jsonrpc/reader.h"

namespace callgate {
namespace {

// Names decoded for one message are a few bytes; after a hostile one the memory is given back.
constexpr size_t kScratchBytesKept = size_t{64} << 10;
// "i:" or "s:" and the id, for id_key and cancelled_id_key.
constexpr size_t kIdKeysBytesMax = 2 * (2 + kIdBytesMax);
constexpr std::string_view kCancelled = "notifications/cancelled";

// One per thread: nothing in it outlives a message's parsing, and each of thousands of sessions has several parsers.
thread_local KeyStack keys;

}  // namespace

// Turns what the Reader found into a Message, or into a refusal.
class MessageBuilder {
  public:
    MessageBuilder(const Reader& reader, Scanner& scanner, Message& message, std::string& scratch)
        : reader_(reader), scanner_(scanner), message_(message), scratch_(scratch) {}

    void build() {
        reserve_scratch();
        id_is_valid_ = is_valid_id(Member::id);
        message_.has_jsonrpc_2 = text(Member::jsonrpc) == "2.0";
        message_.has_method = has(Member::method);
        if (scanner_.refusal() == Refusal::none) judge();
        read_id();
        if (scanner_.refusal() != Refusal::none) {
            message_.kind = MessageKind::invalid;
            message_.refusal = scanner_.refusal();
            message_.refusal_offset = static_cast<uint32_t>(scanner_.refused_offset());
            if (message_.refusal == Refusal::invalid_member) message_.method = text(Member::method);
            return;
        }
        if (message_.kind == MessageKind::response) {
            read_response();
        } else {
            read_request();
        }
    }

  private:
    using enum ValueKind;
    bool is(Member member, ValueKind kind) const { return reader_.kind(member) == kind; }
    bool has(Member member) const { return reader_.has(member); }

    // Views of decoded text must not move, so the memory for all of it is there before the first is decoded.
    void reserve_scratch() {
        const size_t bytes = kIdKeysBytesMax + reader_.escaped_bytes();
        scratch_.clear();
        if (scratch_.capacity() > kScratchBytesKept && bytes <= kScratchBytesKept) scratch_.shrink_to_fit();
        scratch_.reserve(bytes);
    }
    size_t argument_keys_listed() const { return std::min<size_t>(reader_.argument_keys_total(), kAuditKeysMax); }

    std::string_view text(const StringToken& token) {
        if (!token.escaped()) return token.raw();
        const size_t from = scratch_.size();
        append_decoded(scratch_, token.raw());
        return std::string_view(scratch_).substr(from);
    }
    std::string_view text(Member member) { return is(member, string) ? text(reader_.value(member).token()) : std::string_view(); }
    void require(Member member, ValueKind kind) {
        if (has(member) && !is(member, kind)) {
            scanner_.note(Refusal::invalid_member, reader_.value(member).begin);
        }
    }
    void require_short(Member member) {
        if (is(member, string) && reader_.value(member).token().raw().size() > kNameBytesMax) {
            scanner_.note(Refusal::invalid_member, reader_.value(member).begin);
        }
    }

    bool is_valid_id(Member member) const {
        if (is(member, string)) return is_valid_string_id(reader_.value(member).token());
        return is(member, number) && is_valid_integer_id(reader_.raw(member));
    }
    std::string_view id_key(Member member) {
        const size_t from = scratch_.size();
        if (is(member, string)) {
            scratch_ += "s:";
            append_decoded(scratch_, reader_.value(member).token().raw());
        } else {
            scratch_ += "i:";
            scratch_ += reader_.raw(member);
        }
        return std::string_view(scratch_).substr(from);
    }
    void read_id() {
        if (scanner_.broken() || !reader_.id_is_unambiguous() || !id_is_valid_) return;
        message_.id_token = reader_.raw(Member::id);
        message_.id_key = id_key(Member::id);
    }

    // The kind, and what the members must be.
    void judge() {
        require(Member::jsonrpc, string);
        require(Member::method, string);
        require(Member::params, object);
        require(Member::arguments, object);
        require(Member::name, string);
        require(Member::uri, string);
        require_short(Member::method);
        require_short(Member::name);
        if (has(Member::method)) {
            message_.kind = has(Member::id) ? MessageKind::request : MessageKind::notification;
        } else {
            judge_response();
        }
        const bool may_lack_id = message_.kind == MessageKind::response && has(Member::error) && is(Member::id, null);
        if (has(Member::id) && !may_lack_id && !id_is_valid_) {
            scanner_.note(Refusal::invalid_id, reader_.value(Member::id).begin);
        }
    }
    void judge_response() {
        message_.kind = MessageKind::response;
        if (!has(Member::result) && !has(Member::error)) {
            scanner_.note(Refusal::no_method, scanner_.begin());
        } else if (has(Member::result) && has(Member::error)) {
            scanner_.note(Refusal::invalid_member, reader_.value(Member::error).begin);
        } else if (has(Member::result) && !has(Member::id)) {
            scanner_.note(Refusal::invalid_id, scanner_.begin());
        }
        require(Member::error, object);
    }

    void read_response() {
        message_.is_error = has(Member::error);
        message_.result = reader_.raw(Member::result);
        message_.is_tool_error = is(Member::is_error, boolean) && reader_.raw(Member::is_error) == "true";
        if (is(Member::error_code, number)) {
            const std::string_view digits = reader_.raw(Member::error_code);
            int64_t code = 0;
            const auto [past, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code);
            if (error == std::errc{} && past == digits.data() + digits.size()) message_.error_code = code;
        }
    }

    void read_request() {
        message_.method = text(Member::method);
        message_.params = reader_.raw(Member::params);
        message_.name = text(Member::name);
        message_.uri = text(Member::uri);
        message_.arguments = reader_.raw(Member::arguments);
        message_.argument_keys_total = reader_.argument_keys_total();
        for (size_t i = 0; i < argument_keys_listed(); ++i) {
            message_.argument_keys.push_back(text(reader_.argument_key(i)));
        }
        message_.has_process_id = has(Member::process_id) || has(Member::root_uri);
        read_version();
        read_client();
        if (message_.method == kCancelled && is_valid_id(Member::request_id)) {
            message_.cancelled_id_key = id_key(Member::request_id);
        }
    }
    void read_version() {
        message_.has_meta_protocol_version = is(Member::meta_protocol_version, string);
        if (message_.method == "initialize" && has(Member::protocol_version)) {
            message_.protocol_version_is_string = is(Member::protocol_version, string);
            message_.protocol_version =
                is(Member::protocol_version, number) ? reader_.raw(Member::protocol_version) : text(Member::protocol_version);
        } else if (message_.has_meta_protocol_version) {
            message_.protocol_version_is_string = true;
            message_.protocol_version = text(Member::meta_protocol_version);
        }
    }
    void read_client() {
        const bool in_params = is(Member::client_info, object);
        message_.has_client_info = in_params || is(Member::meta_client_info, object);
        message_.client_name = text(in_params ? Member::client_name : Member::meta_client_name);
        message_.client_version = text(in_params ? Member::client_version : Member::meta_client_version);
    }

    const Reader& reader_;
    Scanner& scanner_;
    Message& message_;
    std::string& scratch_;
    bool id_is_valid_ = false;
};

const Message& MessageParser::parse(std::string_view text, JsonText kind) {
    std::vector<std::string_view> argument_keys = std::move(message_.argument_keys);
    argument_keys.clear();
    message_ = Message{};
    message_.argument_keys = std::move(argument_keys);
    if (text.size() > kFrameBytesMax) {
        message_.refusal = Refusal::too_long;
        message_.refusal_offset = static_cast<uint32_t>(kFrameBytesMax);
        return message_;
    }
    keys.reset(text.data());
    Scanner scanner(text, kind);
    Reader reader(scanner, keys);
    reader.read();
    MessageBuilder(reader, scanner, message_, scratch_).build();
    return message_;
}

}  // namespace callgate
