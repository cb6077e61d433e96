#include "policy/json_document.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "policy/json_tree.h"
#include "policy/nearest_key.h"

namespace callgate {
namespace {

// Receives nlohmann's events and follows them through the text. Between two tokens of a text that the parser
// accepts there is only white space, ',' and ':', so each event's token begins at the first other byte after
// the last token.
class JsonReader : public nlohmann::json_sax<nlohmann::json> {
  public:
    JsonReader(std::string_view text, ProblemList& problems) : text_(text), problems_(problems), tree_(problems) {}
    std::optional<JsonValue> take() { return tree_.take(); }

    bool null() override { return scalar(JsonValue::Kind::null, {}); }
    bool boolean(bool value) override {
        JsonValue made;
        made.boolean = value;
        return scalar(JsonValue::Kind::boolean, std::move(made));
    }
    bool number_integer(number_integer_t value) override {
        JsonValue made;
        made.integer = value;
        return scalar(JsonValue::Kind::integer, std::move(made));
    }
    bool number_unsigned(number_unsigned_t value) override {
        if (value > static_cast<number_unsigned_t>(INT64_MAX)) return scalar(JsonValue::Kind::number, {});
        return number_integer(static_cast<number_integer_t>(value));
    }
    bool number_float(number_float_t, const string_t&) override { return scalar(JsonValue::Kind::number, {}); }
    bool string(string_t& value) override {
        JsonValue made;
        made.string = std::move(value);
        return scalar(JsonValue::Kind::string, std::move(made));
    }
    bool binary(binary_t&) override { return false; }  // no such token in JSON text
    bool start_object(std::size_t) override { return open(JsonValue::Kind::object); }
    bool start_array(std::size_t) override { return open(JsonValue::Kind::array); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }
    bool key(string_t& value) override {
        const size_t offset = token_start();
        skip_string();
        tree_.key(std::move(value), offset);
        return true;
    }
    bool parse_error(std::size_t position, const std::string& last_token, const nlohmann::json::exception& error) override {
        // "[json.exception.parse_error.101] parse error at line 3, column 5: syntax error while ..."
        std::string_view what = error.what();
        if (auto end = what.find("] "); end != what.npos) what.remove_prefix(end + 2);
        if (what.starts_with("parse error at ")) {
            if (auto end = what.find(": "); end != what.npos) what.remove_prefix(end + 2);
        }
        // `position` is behind the last byte read: the bad byte, or the end of a token that has no place
        // here.
        const size_t back = unexpected_token_length(what, last_token);
        const size_t offset = position > back ? position - back : 0;
        problems_.add(std::min(offset, text_.size()), tree_.path(), "not JSON: " + printable(what, 300));
        return false;
    }

  private:
    static size_t unexpected_token_length(std::string_view what, const std::string& last_token) {
        const auto says = [&](std::string_view words) { return what.find(words) != what.npos; };
        if (says("unexpected string literal") || says("unexpected number literal")) return last_token.size();
        if (says("unexpected true literal") || says("unexpected null literal")) return 4;
        return says("unexpected false literal") ? 5 : 1;
    }
    size_t token_start() {
        cursor_ = text_.find_first_not_of(" \t\r\n,:", cursor_);
        if (cursor_ == text_.npos) cursor_ = text_.size();
        return cursor_;
    }
    void skip_string() {
        for (++cursor_; cursor_ < text_.size() && text_[cursor_] != '"'; ++cursor_) {
            if (text_[cursor_] == '\\') ++cursor_;
        }
        ++cursor_;
    }
    bool scalar(JsonValue::Kind kind, JsonValue value) {
        value.kind = kind;
        value.offset = token_start();
        if (kind == JsonValue::Kind::string) {
            skip_string();
        } else {
            cursor_ = std::min(text_.find_first_of(" \t\r\n,:]}", cursor_), text_.size());
            if (kind == JsonValue::Kind::integer || kind == JsonValue::Kind::number) {
                value.string = text_.substr(value.offset, cursor_ - value.offset);
            }
        }
        value.end = cursor_;
        return tree_.scalar(std::move(value));
    }
    bool open(JsonValue::Kind kind) {
        const size_t offset = token_start();
        ++cursor_;
        return tree_.open(kind, offset);
    }
    bool close() {
        token_start();
        tree_.close(++cursor_);
        return true;
    }

    std::string_view text_;
    ProblemList& problems_;
    JsonTreeBuilder tree_;
    size_t cursor_ = 0;  // behind the last token
};

}  // namespace

const JsonValue* JsonValue::find(std::string_view key) const {
    for (size_t i = 0; i < keys.size(); ++i) {
        if (keys[i].name == key) return &items[i];
    }
    return nullptr;
}

std::string_view name(JsonValue::Kind kind) {
    switch (kind) {
        case JsonValue::Kind::null: return "null";
        case JsonValue::Kind::boolean: return "a boolean";
        case JsonValue::Kind::integer: return "an integer";
        case JsonValue::Kind::number: return "a number that is no 64-bit integer";
        case JsonValue::Kind::string: return "a string";
        case JsonValue::Kind::array: return "an array";
        case JsonValue::Kind::object: return "an object";
    }
    return "";
}

bool is_plain_utf8(std::string_view text, ProblemList& problems) {
    if (text.starts_with("\xef\xbb\xbf") || text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
        problems.add(0, "", "begins with a byte order mark; save the file as UTF-8 without one");
        return false;
    }
    if (const size_t nul = text.find('\0'); nul != text.npos) {
        problems.add(nul, "", "contains a NUL byte; a policy is UTF-8 text");
        return false;
    }
    return true;
}

std::optional<JsonValue> parse_json(std::string_view text, ProblemList& problems) {
    // nlohmann takes a NUL for the end of the text and would not see what follows it.
    if (!is_plain_utf8(text, problems)) return std::nullopt;
    JsonReader builder(text, problems);
    try {
        if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder)) return std::nullopt;
    } catch (const std::exception& error) {
        problems.add(0, "", std::string("cannot be read: ") + error.what());
        return std::nullopt;
    }
    return builder.take();
}

}  // namespace callgate
