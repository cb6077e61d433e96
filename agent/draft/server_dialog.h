// ServerDialog: asks a server for its tools as a client does: initialize, then tools/list page by page.
// Bounded in time and size; the server is not trusted.
//
// A server of revision 2026-07-28, which knows no initialize, is asked with the _meta of that revision
// instead.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "draft/tool_listing.h"

namespace callgate {

// One connection to a server, whatever carries it.
class ServerChannel {
  public:
    virtual ~ServerChannel() = default;
    // Sends a request and returns the message that answers its id, or says why none came.
    virtual Result<std::string> ask(const nlohmann::json& request) = 0;
    virtual Status tell(const nlohmann::json& notification) = 0;
    // The revision that both sides speak from now on.
    virtual void agreed(std::string_view protocol_version) = 0;
};

Result<ToolListing> list_tools(ServerChannel& channel, const std::string& where);

// True where `text` is a message that answers `id`. Of a request of the server's own, `reply` is what to tell
// it.
bool answers(std::string_view text, const nlohmann::json& id, std::string& reply);

}  // namespace callgate
