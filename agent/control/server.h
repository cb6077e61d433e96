// ControlServer: answers the CLI on its own thread. The handler runs on that thread; it must be thread-safe.
#pragma once
#include <memory>

#include "control/protocol.h"

namespace callgate {

class ControlServer {
  public:
    using Handler = std::function<nlohmann::json(const nlohmann::json& request)>;  // returns "result"; throws nothing
    // Binds `path` (0600, its directory made 0755 where absent). A live agent on the same path is an error; a stale
    // socket is replaced.
    static Result<std::unique_ptr<ControlServer>> start(const std::string& path, std::vector<std::string> verbs,
                                                        Handler handler);
    ~ControlServer();  // stops the thread and unlinks the socket

  private:
    ControlServer();
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace callgate
