// Filters a tools/list response: hidden tools are cut out, every other byte stays as the server wrote it.
//
//   {"id":1,"result":{"tools":[{"name":"a"},{"name":"b"}],"x":1}}   hide b   -> {"id":1,"result":{"tools":[{"name":"a"}],"x":1}}
//
// Where something was cut and the result has "cacheScope":"public", it becomes "private": the list is per caller.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace callgate {

struct ToolsListFilter {
    bool is_readable = false;         // to its end, if only by readers that take equal keys, 1e999 and the like
    bool is_tools_list = false;       // result.tools is an array of objects
    std::vector<std::string> hidden;  // names that were cut
};

// Appends the filtered line to `out` (only where something was hidden; otherwise `out` is left alone and the caller
// forwards the original). A tool goes that has a hidden name under "name", under "Name" (some readers take it for the same), or
// under either of two; likewise "Tools", "Result". `line` may be one that MessageParser refused, or a batch.
ToolsListFilter filter_tools_list(std::string_view line, const std::function<bool(std::string_view)>& is_hidden,
                                  std::string& out);

// Calls each(name, raw object) for every tool of a list. False, and no call, where `line` is no list of tools, or has "Tools",
// "Name" and the like, which some readers take for the members that are meant.
bool read_tool_definitions(std::string_view line, const std::function<void(std::string_view, std::string_view)>& each);

// Calls each(name, raw value of "annotations") for every tool of a list; of a tool without any: "".
// Does nothing where `line` is no list of tools.
void read_tool_annotations(std::string_view line, const std::function<void(std::string_view, std::string_view)>& each);

}  // namespace callgate
