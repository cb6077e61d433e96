#include "jsonrpc/tools_list.h"

#include <algorithm>

#include "jsonrpc/keys.h"
#include "jsonrpc/walk.h"

namespace callgate {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

struct Tool {
    const char* begin;
    const char* end;
    std::string name;                      // decoded; empty where there is none
    std::vector<std::string> other_names;  // under "Name" and the like, or a second time
    std::string_view annotations = {};     // where they are an object
    bool hidden = false;
};

// One array of tools; there are several only where a member is there in several spellings.
struct ToolArray {
    const char* begin;  // of its inside
    std::vector<Tool> tools;
};

// Finds the elements of result.tools and the value of result.cacheScope, whatever case the keys are in: some readers take
// one spelling, some the other.
class ListReader {
  public:
    void open(bool object, const char* at) {
        if (depth_ == 0 && !object) outer_ = 1;  // a batch
        ++depth_;
        const int level = depth_ - outer_;
        if (level == 2) in_result_ = object && fits_;
        if (level == 3 && in_result_ && !object && fits_) {
            in_tools_ = true;
            arrays_.push_back({at + 1, {}});
        }
        if (level == 4 && in_tools_) {
            if (!object) all_objects_ = false;
            tools().push_back({at, at, {}, {}});
        }
        if (level == 5 && in_tools_ && object && key_ == "annotations") annotations_begin_ = at;
        key_.clear();
        fits_ = false;
    }
    void key(const StringToken& token) {
        key_.clear();
        fits_ = false;
        const int level = depth_ - outer_;
        const bool wanted = level == 1 || (level == 2 && in_result_) || (level == 4 && in_tools_);
        if (!wanted) return;
        append_decoded(key_, token.raw());
        const std::string_view exact = level == 1 ? "result" : level == 2 ? "tools" : "name";
        const bool is_near = is_lenient_match(key_, {exact});
        if (is_near) is_ambiguous_ = true;
        fits_ = is_near || key_ == exact;
    }
    void scalar(ValueKind kind, const char* begin, const char* end, const StringToken& token) {
        const int level = depth_ - outer_;
        if (level == 3 && in_tools_) all_objects_ = false;
        if (kind != ValueKind::string) return;
        if (level == 4 && in_tools_ && fits_) add_name(token);
        if (level == 2 && in_result_ && key_ == "cacheScope") {
            std::string scope;
            append_decoded(scope, token.raw());
            if (scope == "public") public_scopes_.emplace_back(begin, static_cast<size_t>(end - begin));
        }
    }
    void close(bool /*object*/, const char* end) {
        const int level = depth_ - outer_;
        if (level == 4 && in_tools_) tools().back().end = end;
        if (level == 5 && annotations_begin_ != nullptr) {
            tools().back().annotations = {annotations_begin_, static_cast<size_t>(end - annotations_begin_)};
            annotations_begin_ = nullptr;
        }
        if (level == 3) in_tools_ = false;
        if (level == 2) in_result_ = false;
        --depth_;
        key_.clear();
        fits_ = false;
    }

    bool is_tools_list() const { return !arrays_.empty() && all_objects_; }
    // A key that only lenient readers take for one that names a tool.
    bool is_ambiguous() const { return is_ambiguous_; }
    std::vector<ToolArray>& arrays() { return arrays_; }
    const std::vector<std::string_view>& public_scopes() const { return public_scopes_; }

  private:
    std::vector<Tool>& tools() { return arrays_.back().tools; }
    void add_name(const StringToken& token) {
        Tool& tool = tools().back();
        const bool is_first = key_ == "name" && tool.name.empty();
        append_decoded(is_first ? tool.name : tool.other_names.emplace_back(), token.raw());
    }

    std::vector<ToolArray> arrays_;
    std::string key_;
    std::vector<std::string_view> public_scopes_;
    const char* annotations_begin_ = nullptr;
    int depth_ = 0, outer_ = 0;
    bool fits_ = false;  // the key is one of those on the way to a name, in whatever spelling
    bool in_result_ = false, in_tools_ = false, all_objects_ = true, is_ambiguous_ = false;
};

// False where the text cannot be read to its end.
bool read_list(Scanner& scanner, ListReader& reader) {
    const char* p = scanner.begin();
    if (std::string_view(p, scanner.end()).starts_with(kByteOrderMark)) p += kByteOrderMark.size();
    p = Walk(scanner, reader).value(scanner.space(p));
    return p != nullptr && scanner.space(p) == scanner.end();
}

void append_range(std::string& out, const char* begin, const char* end) { out.append(begin, static_cast<size_t>(end - begin)); }

// The inside of the array without the hidden elements: each kept one keeps what stood between it and its
// predecessor.
void append_kept(std::string& out, const ToolArray& array) {
    const std::vector<Tool>& tools = array.tools;
    append_range(out, array.begin, tools.front().begin);
    bool first = true;
    for (size_t i = 0; i < tools.size(); ++i) {
        if (tools[i].hidden) continue;
        if (!first) append_range(out, tools[i - 1].end, tools[i].begin);
        append_range(out, tools[i].begin, tools[i].end);
        first = false;
    }
}

// [from, to) with the public scopes that lie there made private.
void append_with_scopes(std::string& out, const char* from, const char* to, const std::vector<std::string_view>& scopes) {
    for (const std::string_view scope : scopes) {
        if (scope.data() < from || scope.data() >= to) continue;
        append_range(out, from, scope.data());
        out += "\"private\"";
        from = scope.data() + scope.size();
    }
    append_range(out, from, to);
}

}  // namespace

ToolsListFilter filter_tools_list(std::string_view line, const std::function<bool(std::string_view)>& is_hidden,
                                  std::string& out) {
    ToolsListFilter filter;
    Scanner scanner(line, JsonText::document);
    ListReader reader;
    filter.is_readable = read_list(scanner, reader);
    filter.is_tools_list = filter.is_readable && reader.is_tools_list();
    if (!filter.is_tools_list) return filter;
    for (ToolArray& array : reader.arrays()) {
        for (Tool& tool : array.tools) {
            tool.hidden = is_hidden(tool.name) || std::any_of(tool.other_names.begin(), tool.other_names.end(), is_hidden);
            if (tool.hidden) filter.hidden.push_back(tool.name);
        }
    }
    if (filter.hidden.empty()) return filter;
    out.reserve(out.size() + line.size() + 1);
    const char* copied = line.data();
    for (const ToolArray& array : reader.arrays()) {
        if (array.tools.empty()) continue;
        append_with_scopes(out, copied, array.begin, reader.public_scopes());
        append_kept(out, array);
        copied = array.tools.back().end;
    }
    append_with_scopes(out, copied, line.data() + line.size(), reader.public_scopes());
    return filter;
}

bool read_tool_definitions(std::string_view line, const std::function<void(std::string_view, std::string_view)>& each) {
    Scanner scanner(line, JsonText::document);
    ListReader reader;
    if (!read_list(scanner, reader) || !reader.is_tools_list() || reader.is_ambiguous()) return false;
    for (const Tool& tool : reader.arrays().front().tools)
        each(tool.name, {tool.begin, static_cast<size_t>(tool.end - tool.begin)});
    return true;
}

void read_tool_annotations(std::string_view line, const std::function<void(std::string_view, std::string_view)>& each) {
    Scanner scanner(line, JsonText::document);
    ListReader reader;
    if (!read_list(scanner, reader) || !reader.is_tools_list()) return;
    for (const ToolArray& array : reader.arrays()) {
        for (const Tool& tool : array.tools) each(tool.name, tool.annotations);
    }
}

}  // namespace callgate
