#include "policy/yaml_document.h"

#include <yaml.h>

#include <algorithm>
#include <array>

#include "policy/json_tree.h"
#include "policy/nearest_key.h"
#include "policy/yaml_scalar.h"

namespace callgate {
namespace {

using Kind = JsonValue::Kind;

// libyaml counts characters; a tree has bytes. Marks come nearly in the order of the text, so each is found
// from the last.
class ByteOffset {
  public:
    explicit ByteOffset(std::string_view text) : text_(text) {}

    size_t of(size_t character) {
        while (character_ < character && byte_ < text_.size()) {
            ++character_;
            for (++byte_; byte_ < text_.size() && is_continuation(byte_); ++byte_) {
            }
        }
        while (character_ > character) {
            --character_;
            for (--byte_; is_continuation(byte_); --byte_) {
            }
        }
        return byte_;
    }

  private:
    bool is_continuation(size_t at) const { return (static_cast<unsigned char>(text_[at]) & 0xc0) == 0x80; }

    std::string_view text_;
    size_t character_ = 0, byte_ = 0;
};

// Line ends that only some readers know: what is a comment to one would be a rule to another.
bool has_plain_lines(std::string_view text, ProblemList& problems) {
    constexpr std::array<std::string_view, 3> kOtherLineEnds = {"\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9"};
    size_t found = text.npos;
    for (std::string_view end : kOtherLineEnds) found = std::min(found, text.find(end));
    for (size_t at = text.find('\r'); at < found; at = text.find('\r', at + 1)) {
        if (at + 1 == text.size() || text[at + 1] != '\n') found = at;
    }
    if (found == text.npos) return true;
    problems.add(found, "", "a line ends with LF or CR LF; this character ends one only to some readers of YAML");
    return false;
}

class YamlReader {
  public:
    YamlReader(std::string_view text, ProblemList& problems) : text_(text), problems_(problems), tree_(problems), offset_(text) {
        is_ready_ = yaml_parser_initialize(&parser_) != 0;
        if (!is_ready_) return;
        yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    }
    ~YamlReader() {
        if (is_ready_) yaml_parser_delete(&parser_);
    }
    YamlReader(const YamlReader&) = delete;
    YamlReader& operator=(const YamlReader&) = delete;

    std::optional<JsonValue> read() {
        for (bool more = is_ready_; more;) {
            yaml_event_t event;
            if (!yaml_parser_parse(&parser_, &event)) return stop();
            more = event.type != YAML_STREAM_END_EVENT;
            const bool taken = take(event);
            yaml_event_delete(&event);
            if (!taken) return std::nullopt;
        }
        std::optional<JsonValue> root = tree_.take();
        if (!root) problems_.add(0, "", "is empty; a policy is a mapping that begins with version: \"1\"");
        return root;
    }

  private:
    std::optional<JsonValue> stop() {
        const bool has_mark = parser_.error == YAML_SCANNER_ERROR || parser_.error == YAML_PARSER_ERROR;
        const size_t offset = has_mark ? offset_.of(parser_.problem_mark.index) : parser_.problem_offset;
        std::string message = "not YAML: ";
        if (has_mark && parser_.context) message += std::string(parser_.context) + ": ";
        message += parser_.problem ? parser_.problem : "memory is short";
        if (has_mark) message += what_to_do(offset);
        problems_.add(std::min(offset, text_.size()), tree_.path(), std::move(message));
        return std::nullopt;
    }

    // What begins no value in YAML is often a name, or the key that indents in an editor.
    std::string what_to_do(size_t offset) const {
        const char at = offset < text_.size() ? text_[offset] : '\0';
        if (at == '\t') return "; indent with spaces, YAML takes no tabs for that";
        if (at != '@' && at != '`' && at != '%') return "";
        return std::string("; a text that begins with ") + at + " must stand in quotes";
    }

    size_t start(const yaml_event_t& event) { return offset_.of(event.start_mark.index); }
    bool wrong(const yaml_event_t& event, std::string message) {
        problems_.add(start(event), tree_.path(), std::move(message));
        return false;
    }

    // False where reading ends.
    bool take(const yaml_event_t& event) {
        switch (event.type) {
            case YAML_NO_EVENT:
            case YAML_STREAM_START_EVENT:
            case YAML_STREAM_END_EVENT:
            case YAML_DOCUMENT_END_EVENT: return true;
            case YAML_DOCUMENT_START_EVENT: return document(event);
            case YAML_ALIAS_EVENT: return wrong(event, "aliases (*name) are refused; write the value itself");
            case YAML_SCALAR_EVENT:
                check_properties(event, event.data.scalar.anchor, event.data.scalar.tag);
                return tree_.wants_key() ? key(event) : scalar(event);
            case YAML_SEQUENCE_START_EVENT:
                check_properties(event, event.data.sequence_start.anchor, event.data.sequence_start.tag);
                return open(event, Kind::array);
            case YAML_MAPPING_START_EVENT:
                check_properties(event, event.data.mapping_start.anchor, event.data.mapping_start.tag);
                return open(event, Kind::object);
            case YAML_SEQUENCE_END_EVENT:
            case YAML_MAPPING_END_EVENT: tree_.close(offset_.of(event.end_mark.index)); return true;
        }
        return false;
    }

    bool document(const yaml_event_t& event) {
        if (++documents_ > 1) return wrong(event, "a second document; one file is one policy");
        const auto& head = event.data.document_start;
        if (head.version_directive || head.tag_directives.start != head.tag_directives.end) {
            wrong(event, "directives (%YAML, %TAG) are refused; remove them");
        }
        return true;
    }
    bool open(const yaml_event_t& event, Kind kind) {
        if (tree_.wants_key()) return wrong(event, "a key must be a text, not a list or a mapping");
        return tree_.open(kind, start(event));
    }
    // libyaml keeps quiet about the tag "!", which makes a text of anything.
    void check_properties(const yaml_event_t& event, const yaml_char_t* anchor, const yaml_char_t* tag) {
        const size_t at = start(event);
        const bool has_tag = tag || (event.start_mark.index < event.end_mark.index && text_[at] == '!');
        if (anchor) wrong(event, "anchors (&name) are refused; write the value where it is used");
        if (has_tag) wrong(event, "tags (!name) are refused; a value in quotes is a text, any other is what it looks like");
    }

    static std::string_view text_of(const yaml_event_t& event) {
        return {reinterpret_cast<const char*>(event.data.scalar.value), event.data.scalar.length};
    }
    static bool is_plain(const yaml_event_t& event) { return event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE; }

    bool key(const yaml_event_t& event) {
        const std::string_view text = text_of(event);
        if (is_plain(event)) {
            std::string problem;
            const JsonValue meant = plain_yaml_scalar(text, problem);
            if (text == "<<") {
                problem = "merge keys (<<) are refused; write the members themselves";
            } else if (problem.empty() && meant.kind != Kind::string) {
                problem = "a key must be a text; write " + in_quotes(text) + " in quotes";
            }
            if (!problem.empty()) wrong(event, std::move(problem));
        }
        tree_.key(std::string(text), start(event));
        return true;
    }
    bool scalar(const yaml_event_t& event) {
        JsonValue value;
        std::string problem;
        if (is_plain(event)) {
            value = plain_yaml_scalar(text_of(event), problem);
            // What stands there may be a comment, or was forgotten; a rule that compares with nothing would never fire.
            const bool stands_there = event.start_mark.index < event.end_mark.index;
            if (!stands_there) problem = "nothing stands here; write null, or a text that begins with # in quotes";
        } else {
            value.kind = Kind::string;
            value.string = text_of(event);
        }
        if (!problem.empty()) wrong(event, std::move(problem));
        value.offset = start(event);
        value.end = offset_.of(event.end_mark.index);
        return tree_.scalar(std::move(value));
    }

    std::string_view text_;
    ProblemList& problems_;
    JsonTreeBuilder tree_;
    ByteOffset offset_;
    yaml_parser_t parser_;
    bool is_ready_ = false;
    size_t documents_ = 0;
};

}  // namespace

std::optional<JsonValue> parse_yaml(std::string_view text, ProblemList& problems) {
    if (!is_plain_utf8(text, problems) || !has_plain_lines(text, problems)) return std::nullopt;
    return YamlReader(text, problems).read();
}

}  // namespace callgate
