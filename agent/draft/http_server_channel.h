// HttpServerChannel: a server over Streamable HTTP that is asked for its tools. Answers may be JSON or an
// event stream.
//
//   HttpServerChannel server = TRY(HttpServerChannel::open("http://127.0.0.1:3000/mcp", {}));
//   ToolListing tools = TRY(list_tools(server, url));
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "draft/server_dialog.h"
#include "policy/policy.h"

namespace callgate {

struct CurlLibrary;

class HttpServerChannel : public ServerChannel {
  public:
    // `headers`: further ones, "Name: value". No redirect is followed.
    static Result<std::unique_ptr<HttpServerChannel>> open(const std::string& url, const std::vector<std::string>& headers);
    ~HttpServerChannel() override;  // ends the session that the server gave

    Result<std::string> ask(const nlohmann::json& request) override;
    Status tell(const nlohmann::json& notification) override;
    void agreed(std::string_view protocol_version) override { protocol_version_ = protocol_version; }

  private:
    struct Transfer;
    HttpServerChannel() = default;
    Status perform(Transfer& transfer, const nlohmann::json* message);

    std::string url_, protocol_version_, session_;
    std::vector<std::string> headers_;
    const CurlLibrary* curl_ = nullptr;
    void* handle_ = nullptr;  // CURL*
    int64_t deadline_ns_ = 0;
};

// How a policy names the server behind a URL: {"listen": "127.0.0.1:3000", "path": "/mcp"}. Empty where none
// can: TLS, another host's name.
ServerMatch match_of_url(const std::string& url);

}  // namespace callgate
