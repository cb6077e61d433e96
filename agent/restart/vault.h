// Vault: bundles of descriptors that outlive this process however it ends, behind two descriptors that
// somebody keeps (carrier.h). Bundles come and go without the keeper's help, and at once: what is taken out
// is held by nobody any more.
//
//   vault ◄─ sendmsg(parcel)     a socket pair; each message is a parcel
//   parcel ◄─ sendmsg(bundle)    a socket pair; its last message is the bundle, none: it is over
//
// Whoever keeps both ends of the vault keeps it all. The next process adopts it, goes on with the same
// parcels, and adds its own. Any thread may add, replace and remove.
#pragma once
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "restart/parcel.h"

namespace callgate {

class Vault {
  public:
    class Entry {
      public:
        ~Entry() { remove(); }
        Entry(const Entry&) = delete;
        Entry& operator=(const Entry&) = delete;
        // The descriptors stay the caller's. In between the old bundle or both are kept, never none.
        Status replace(const Bundle& bundle);
        void remove();

      private:
        friend class Vault;
        Entry(std::shared_ptr<std::atomic<size_t>> gone, Fd reading, Fd writing)
            : gone_(std::move(gone)), reading_(std::move(reading)), writing_(std::move(writing)) {}
        bool is_over() const { return !reading_; }
        // ErrorKind::gone where it is over.
        Status put_into(const Fd& vault);
        std::shared_ptr<std::atomic<size_t>> gone_;  // of the vault
        std::mutex mutex_;  // guards what follows: the vault puts it behind others while its owner removes it
        Fd reading_, writing_;
    };
    struct Found {
        Bundle bundle;
        std::shared_ptr<Entry> entry;
    };

    static Result<std::unique_ptr<Vault>> create();
    // That of a process before; `found`: what is in it, and an empty bundle for each that could not be had.
    static Result<std::unique_ptr<Vault>> adopt(Fd reading, Fd writing, std::vector<Found>& found);

    const Fd& reading() const { return reading_; }
    const Fd& writing() const { return writing_; }
    // The descriptors stay the caller's.
    Result<std::shared_ptr<Entry>> add(const Bundle& bundle);

  private:
    Vault(Fd reading, Fd writing);
    Status put(const std::shared_ptr<Entry>& entry);
    void forget_some();
    void forget_those_gone();

    std::mutex mutex_;  // guards what follows
    Fd reading_, writing_;
    std::deque<std::weak_ptr<Entry>> parcels_;  // in the order of the messages
    std::shared_ptr<std::atomic<size_t>> gone_ = std::make_shared<std::atomic<size_t>>(0);
};

// Begins the label of a bundle that keeps the steering of a network namespace; its inode number follows.
inline constexpr char kSteeringLabel[] = "steering ";

}  // namespace callgate
