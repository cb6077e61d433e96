// ServerProcess: a server on stdio that is started to be asked, and ended again. Its stderr is ours.
//
//   ServerProcess server = TRY(ServerProcess::start({"node", "server.js"}));
//   ToolListing tools = TRY(list_tools(server, "node server.js"));
//   ServerIdentity who = server.identity();   of the program that reads the pipe: of "npx x" it is x
//   server.end();                             as a client does: end of input, then SIGTERM, then SIGKILL
#pragma once
#include <sys/types.h>

#include <string>
#include <vector>

#include "base/fd.h"
#include "draft/server_dialog.h"
#include "session/identity.h"

namespace callgate {

class ServerProcess : public ServerChannel {
  public:
    // SIGPIPE must be ignored: a server may end at any time.
    static Result<ServerProcess> start(const std::vector<std::string>& command);
    ServerProcess(ServerProcess&&) noexcept;
    ServerProcess& operator=(ServerProcess&&) = delete;
    ~ServerProcess() override;

    Result<std::string> ask(const nlohmann::json& request) override;
    Status tell(const nlohmann::json& notification) override;
    void agreed(std::string_view) override {}

    ServerIdentity identity() const;
    void end();

  private:
    ServerProcess() = default;
    Status send(std::string line);
    Result<std::string> next_line();
    bool wait_for_end() const;

    std::string name_;
    pid_t pid_ = 0;  // leads a process group of its own; 0: ended
    Fd pidfd_, input_, output_;
    std::string read_;  // of the next lines
    int64_t deadline_ns_ = 0;
};

}  // namespace callgate
