// HttpAcceptor: accepts one connection after the other from a listener of the agent's. On the loop's thread.
#pragma once
#include <functional>
#include <memory>

#include "io/ring.h"
#include "kernel/network_namespace.h"

namespace callgate {

class HttpAcceptor : public Completion {
  public:
    struct Events {
        std::function<void(Fd client, const std::shared_ptr<NetworkNamespace>& space)> accepted;
        std::function<void()> over;  // after stop(): it may be destroyed, though not in here
    };
    // `listener` is of that namespace, and stays open until it is over.
    HttpAcceptor(Ring& ring, std::shared_ptr<NetworkNamespace> space, int listener, Events events);
    // One that an agent before has opened.
    HttpAcceptor(Ring& ring, std::shared_ptr<NetworkNamespace> space, Fd listener, Events events);

    const std::shared_ptr<NetworkNamespace>& space() const { return space_; }
    bool was_left() const { return own_.valid(); }
    void start();
    void stop();
    // Only after stop(): what waits in the kernel's queue.
    void take_queued();
    bool over() const { return !open_ && !armed_; }
    void complete(int result, std::string_view) override;

  private:
    void arm();

    Ring& ring_;
    std::shared_ptr<NetworkNamespace> space_;
    Fd own_;
    int listener_;
    Events events_;
    bool open_ = true, armed_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace callgate
