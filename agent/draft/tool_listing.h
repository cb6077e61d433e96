// ToolListing: what a server says of its tools, read from answers to tools/list, live or recorded.
//
//   {"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"}],"nextCursor":"2"}}   a whole answer
//   {"tools":[{"name":"a"}]}                                                      its result
//   [{"name":"a"}]                                                                the tools alone
//   any of these one after the other, or one a line                               pages: they are put
//   together
//
// Of a tool that is listed twice the first counts. The server is not trusted: what is no tool is left out and
// counted.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace callgate {

struct ToolParameter {
    std::string name;
    bool has_values = false;          // the schema says which texts it may be
    std::vector<std::string> values;  // at most kParameterValuesMax
};

struct ListedTool {
    std::string name, description;
    std::vector<ToolParameter> parameters;
    std::optional<bool> read_only, destructive;  // annotations
};

class ToolListing {
  public:
    // A recorded file: values as above.
    Status add_text(std::string_view text, const std::string& where);
    // One answer of a server. The cursor of the next page, "" on the last one.
    Result<std::string> add_answer(std::string_view json, const std::string& where);

    const std::vector<ListedTool>& tools() const { return tools_; }
    size_t left_out() const { return left_out_; }

  private:
    std::vector<ListedTool> tools_;
    size_t left_out_ = 0;
};

}  // namespace callgate
