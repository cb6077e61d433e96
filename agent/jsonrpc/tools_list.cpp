#include "jsonrpc/tools_list.h"

#include "jsonrpc/keys.h"
#include "jsonrpc/walk.h"

namespace callgate {
namespace {

struct Tool {
    const char* begin;
    const char* end;
    std::string name;  // decoded; empty where there is none
    bool hidden = false;
    std::string_view annotations = {};  // where they are an object
};

// Finds the elements of result.tools and the value of result.cacheScope.
class ListReader {
  public:
    void open(bool object, const char* at) {
        ++depth_;
        if (depth_ == 2) in_result_ = object && key_ == "result";
        if (depth_ == 3 && in_result_ && !object && key_ == "tools") {
            in_tools_ = true;
            has_tools_ = true;
            list_begin_ = at + 1;
        }
        if (depth_ == 4 && in_tools_) {
            if (!object) all_objects_ = false;
            tools_.push_back({at, at, {}});
        }
        if (depth_ == 5 && in_tools_ && object && key_ == "annotations") annotations_begin_ = at;
        key_.clear();
    }
    void key(const StringToken& token) {
        key_.clear();
        const bool wanted = depth_ == 1 || (depth_ == 2 && in_result_) || (depth_ == 4 && in_tools_);
        if (!wanted) return;
        append_decoded(key_, token.raw());
        const std::string_view exact = depth_ == 1 ? "result" : depth_ == 2 ? "tools" : "name";
        if (is_lenient_match(key_, {exact})) is_ambiguous_ = true;
    }
    void scalar(ValueKind kind, const char* begin, const char* end, const StringToken& token) {
        if (depth_ == 3 && in_tools_) all_objects_ = false;
        if (kind == ValueKind::string && depth_ == 4 && in_tools_ && key_ == "name") {
            append_decoded(tools_.back().name, token.raw());
        }
        if (kind == ValueKind::string && depth_ == 2 && in_result_ && key_ == "cacheScope") {
            std::string scope;
            append_decoded(scope, token.raw());
            if (scope == "public") scope_ = {begin, static_cast<size_t>(end - begin)};
        }
    }
    void close(bool /*object*/, const char* end) {
        if (depth_ == 4 && in_tools_) tools_.back().end = end;
        if (depth_ == 5 && annotations_begin_ != nullptr) {
            tools_.back().annotations = {annotations_begin_, static_cast<size_t>(end - annotations_begin_)};
            annotations_begin_ = nullptr;
        }
        if (depth_ == 3) in_tools_ = false;
        if (depth_ == 2) in_result_ = false;
        --depth_;
        key_.clear();
    }

    bool is_tools_list() const { return has_tools_ && all_objects_; }
    // A key that lenient readers take for one that names a tool.
    bool is_ambiguous() const { return is_ambiguous_; }
    std::vector<Tool>& tools() { return tools_; }
    const char* list_begin() const { return list_begin_; }
    std::string_view public_scope() const { return scope_; }

  private:
    std::vector<Tool> tools_;
    std::string key_;
    std::string_view scope_;
    const char* list_begin_ = nullptr;
    const char* annotations_begin_ = nullptr;
    int depth_ = 0;
    bool in_result_ = false, in_tools_ = false, has_tools_ = false, all_objects_ = true, is_ambiguous_ = false;
};

void append_range(std::string& out, const char* begin, const char* end) {
    out.append(begin, static_cast<size_t>(end - begin));
}

// The inside of the array without the hidden elements: each kept one keeps what stood between it and its
// predecessor.
void append_kept(std::string& out, const char* list_begin, const std::vector<Tool>& tools) {
    append_range(out, list_begin, tools.front().begin);
    bool first = true;
    for (size_t i = 0; i < tools.size(); ++i) {
        if (tools[i].hidden) continue;
        if (!first) append_range(out, tools[i - 1].end, tools[i].begin);
        append_range(out, tools[i].begin, tools[i].end);
        first = false;
    }
}

// [from, to) with the public scope, where it lies there, made private.
void append_with_scope(std::string& out, const char* from, const char* to, std::string_view scope) {
    if (scope.empty() || scope.data() < from || scope.data() >= to) return append_range(out, from, to);
    append_range(out, from, scope.data());
    out += "\"private\"";
    append_range(out, scope.data() + scope.size(), to);
}

}  // namespace

ToolsListFilter filter_tools_list(std::string_view line,
                                  const std::function<bool(std::string_view)>& is_hidden, std::string& out) {
    ToolsListFilter filter;
    Scanner scanner(line);
    ListReader reader;
    if (Walk(scanner, reader).value(scanner.space(scanner.begin())) == nullptr) return filter;
    filter.is_tools_list = reader.is_tools_list();
    if (!filter.is_tools_list) return filter;
    std::vector<Tool>& tools = reader.tools();
    for (Tool& tool : tools) {
        tool.hidden = is_hidden(tool.name);
        if (tool.hidden) filter.hidden.push_back(tool.name);
    }
    if (filter.hidden.empty()) return filter;
    out.reserve(out.size() + line.size() + 1);
    append_with_scope(out, line.data(), reader.list_begin(), reader.public_scope());
    append_kept(out, reader.list_begin(), tools);
    append_with_scope(out, tools.back().end, line.data() + line.size(), reader.public_scope());
    return filter;
}

bool read_tool_definitions(std::string_view line, const std::function<void(std::string_view, std::string_view)>& each) {
    Scanner scanner(line, JsonText::document);
    ListReader reader;
    if (Walk(scanner, reader).value(scanner.space(scanner.begin())) == nullptr || !reader.is_tools_list() || reader.is_ambiguous())
        return false;
    for (const Tool& tool : reader.tools()) each(tool.name, {tool.begin, static_cast<size_t>(tool.end - tool.begin)});
    return true;
}

void read_tool_annotations(std::string_view line, const std::function<void(std::string_view, std::string_view)>& each) {
    Scanner scanner(line, JsonText::document);
    ListReader reader;
    if (Walk(scanner, reader).value(scanner.space(scanner.begin())) == nullptr || !reader.is_tools_list()) return;
    for (const Tool& tool : reader.tools()) each(tool.name, tool.annotations);
}

}  // namespace callgate
