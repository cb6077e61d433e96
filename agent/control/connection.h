// ControlConnection: one client of the control socket. Never blocks; one request at a time: the next is read
// only when the answer to the last has been taken.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/fd.h"
#include "control/server.h"

namespace callgate {

class ControlConnection {
  public:
    // A client that neither asks nor reads its answer is cut off.
    static constexpr int64_t kIdleNanoseconds = 10'000'000'000;

    ControlConnection(Fd fd, int64_t now_ns);

    int fd() const { return fd_.get(); }
    short events() const;  // what to poll for
    // Another request has already been received: advance() again without waiting.
    bool is_ready() const { return output_.empty() && !is_closing_ && input_.find('\n') != std::string::npos; }
    bool is_finished(int64_t now_ns) const { return is_finished_ || now_ns - active_ns_ > kIdleNanoseconds; }
    int64_t idle_deadline_ns() const { return active_ns_ + kIdleNanoseconds; }
    // Reads, answers and writes as far as that goes now.
    void advance(const std::vector<std::string>& verbs, const ControlServer::Handler& handler, int64_t now_ns);

  private:
    void check_peer();
    void receive(int64_t now_ns);
    void send(int64_t now_ns);
    void refuse(const std::string& error);  // answers, and closes once that is written

    Fd fd_;
    nlohmann::json peer_;  // {"uid","pid","login_uid"}
    std::string input_, output_;
    size_t sent_ = 0;
    int64_t active_ns_;
    bool is_closing_ = false, is_finished_ = false;
};

// The answer to one request line, LF included. `peer` becomes the request's member of that name, whatever it said itself.
std::string answer_control_line(const std::string& line, const std::vector<std::string>& verbs,
                                const ControlServer::Handler& handler, const nlohmann::json& peer = {});

}  // namespace callgate
