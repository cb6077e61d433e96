#include "policy/json_text.h"

#include "jsonrpc/answer.h"

namespace callgate {
namespace {

using Kind = JsonValue::Kind;

constexpr size_t kColumns = 110;
constexpr size_t kIndent = 2;

// Of at most `room` bytes; more is cut off, for it is written otherwise then.
class LineWriter {
  public:
    LineWriter(std::string& out, size_t room) : out_(out), end_(out.size() + room) {}
    bool fits() const { return out_.size() <= end_; }

    void write(const JsonValue& value) {
        const bool is_object = value.kind == Kind::object;
        if (!is_object && value.kind != Kind::array) return scalar(value);
        out_ += is_object ? "{" : "[";
        for (size_t i = 0; i < value.items.size() && fits(); ++i) {
            if (i > 0) out_ += ", ";
            if (is_object) key(value.keys[i].name);
            write(value.items[i]);
        }
        out_ += is_object ? "}" : "]";
    }
    void key(std::string_view name) {
        append_json_string(out_, name);
        out_ += ": ";
    }

  private:
    void scalar(const JsonValue& value) {
        if (value.kind == Kind::string) return append_json_string(out_, value.string);
        if (value.kind == Kind::boolean) {
            out_ += value.boolean ? "true" : "false";
        } else {
            out_ += value.kind == Kind::null ? std::string_view("null") : std::string_view(value.string);
        }
    }

    std::string& out_;
    size_t end_;
};

bool is_container(const JsonValue& value) {
    return (value.kind == Kind::object || value.kind == Kind::array) && !value.items.empty();
}

// `column`: of the value's first byte.
void write(std::string& out, const JsonValue& value, size_t indent, size_t column) {
    const size_t begin = out.size();
    LineWriter line(out, is_container(value) && column < kColumns ? kColumns - column : std::string::npos / 2);
    line.write(value);
    // The policy itself is always broken into lines.
    const bool is_root = indent == 0 && is_container(value);
    if (line.fits() && !is_root) return;
    out.resize(begin);
    const bool is_object = value.kind == Kind::object;
    out += is_object ? "{" : "[";
    for (size_t i = 0; i < value.items.size(); ++i) {
        out += i > 0 ? ",\n" : "\n";
        const size_t start = out.size();
        out.append(indent + kIndent, ' ');
        if (is_object) LineWriter(out, std::string::npos / 2).key(value.keys[i].name);
        write(out, value.items[i], indent + kIndent, out.size() - start);
    }
    out += "\n";
    out.append(indent, ' ');
    out += is_object ? "}" : "]";
}

}  // namespace

std::string json_text(const JsonValue& value) {
    std::string out;
    write(out, value, 0, 0);
    return out + "\n";
}

}  // namespace callgate
