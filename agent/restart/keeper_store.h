// KeeperStore: the keeper's end of sd_notify(3): named descriptors that the agent stores and removes.
//
//   "FDSTORE=1\nFDNAME=callgate" and a descriptor  ->  entries(): {"callgate", fd};
//   "FDSTOREREMOVE=1\nFDNAME=callgate"  ->  none
//
// Messages of other processes are dropped, and so are descriptors that nobody asked to keep (a barrier's
// among them: that it is closed is the answer).
#pragma once
#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace callgate {

class KeeperStore {
  public:
    struct Entry {
        std::string name;
        Fd fd;
    };
    static constexpr size_t kEntriesMax = 16;  // the agent needs four; more are dropped

    // Listens on an address of its own.
    static Result<KeeperStore> create();
    int socket() const { return socket_.get(); }
    const std::string& address() const { return address_; }  // for NOTIFY_SOCKET
    // Takes in what `sender` has sent so far.
    void receive(pid_t sender);
    const std::vector<Entry>& entries() const { return entries_; }
    bool has(std::string_view name) const;
    // Whether the sender has said READY=1 since the last time.
    bool take_ready() { return std::exchange(is_ready_, false); }
    // Whether it has said anything of its watchdog's since the last time.
    bool take_alive() { return std::exchange(is_alive_, false); }
    void clear() { entries_.clear(); }

  private:
    KeeperStore(Fd socket, std::string address) : socket_(std::move(socket)), address_(std::move(address)) {}
    void apply(std::string_view message, std::vector<Fd> fds);

    Fd socket_;
    std::string address_;
    std::vector<Entry> entries_;
    bool is_ready_ = false, is_alive_ = false;
};

}  // namespace callgate
