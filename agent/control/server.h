// ControlServer: answers the CLI on its own thread. The handler runs on that thread; it must be thread-safe.
//
// No client can make another wait for longer than the handler takes: reading and writing never block,
// requests are bounded by kControlRequestBytesMax, clients by kControlClientsMax (the next wait in the
// backlog), and whoever is idle is cut off.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "control/protocol.h"

namespace callgate {

inline constexpr size_t kControlClientsMax = 64;

class ControlServer {
  public:
    using Handler = std::function<nlohmann::json(const nlohmann::json& request)>;  // returns "result"; throws nothing
    // Binds `path` (0600, its directory made 0755 where absent). A live agent on the same path is an error; a
    // stale socket is replaced.
    static Result<std::unique_ptr<ControlServer>> start(const std::string& path, std::vector<std::string> verbs, Handler handler);
    ~ControlServer();  // stops the thread and unlinks the socket
    ControlServer(const ControlServer&) = delete;
    ControlServer& operator=(const ControlServer&) = delete;

  private:
    struct State;
    explicit ControlServer(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace callgate
