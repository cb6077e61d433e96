// Source and Sink: the reading and the writing end of one direction of a connection, on the Ring.
//
// Both own their descriptor. close() may be called at any time: it stops new operations and cancels those in flight;
// idle() tells when none is left, and only then may the object die. One without a descriptor is closed from the beginning.
//
// Where memory runs out in one of its events, or for its next operation, its owner is told by `failed`, and closes.
//
// Either works on a Ledger, where it is given one before its first operation: no byte is then in the memory of this process
// alone. Who appends to pending() has it committed before it calls flush().
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/outbox.h"
#include "io/ledger.h"
#include "io/ring.h"

namespace callgate {

class Source : public Completion {
  public:
    struct Events {
        std::function<void(std::string_view)> bytes;  // valid in the call
        std::function<void()> end;                    // end of file, or the connection broke
        // Asked before each read, where given: memory to read into, valid until those bytes are handed over or another
        // is asked for; empty: none in particular.
        std::function<std::span<char>()> room = {};
        std::function<void()> closing = {};  // the descriptor is about to be closed: fd() is -1 already
        std::function<void()> no_room = {};  // in the ledger: leave_ledger()
        std::function<void()> failed = {};   // memory ran out; without it the exception goes on
    };
    Source(Ring& ring, Fd fd, bool is_socket, Events events);
    ~Source() override { assert(idle()); }

    void use_ledger(Ledger& ledger, Ledger::Flow flow) { ledger_ = &ledger, flow_ = flow; }
    void leave_ledger() { ledger_ = nullptr; }
    void resume();  // read on; the first call starts
    void pause() { paused_ = true; }
    void stop();   // reads no more, keeps the descriptor; bytes of a read in flight are still handed over
    bool go_on();  // undoes that, once idle(); false where nothing was stopped
    void close();  // stop, and the descriptor goes
    Fd take_fd() { return std::move(fd_); }  // once idle(); for another agent
    bool open() const { return open_; }
    bool idle() const { return !in_flight_; }
    int fd() const { return fd_.get(); }
    int error() const { return error_; }  // an errno, where it did not end at the end of file

    void complete(int result, std::string_view bytes) override;

  private:
    void completed(int result, std::string_view bytes);
    void readable();
    void end(ssize_t result);
    void drop_fd();

    Ring& ring_;
    Fd fd_;
    bool is_socket_;
    Events events_;
    Ledger* ledger_ = nullptr;
    Ledger::Flow flow_ = Ledger::kToServer;
    bool polling_ = false;
    const char* reading_into_ = nullptr;  // null: the ring's own memory
    size_t room_ = 0;
    int error_ = 0;
    bool open_, stopped_ = false, closing_ = false, paused_ = true, in_flight_ = false;
    bool drained_ = false;  // the last read got all that there was
};

class Sink : public Completion {
  public:
    struct Events {
        std::function<void()> written;       // something was written after flush() had returned: less is pending than before
        std::function<void()> gone;          // nobody reads any more; pending bytes were dropped
        std::function<void()> finished;      // everything was written and the end was passed on
        std::function<void()> closing = {};  // the descriptor is about to be closed: fd() is -1 already
        std::function<void()> failed = {};   // memory ran out; without it the exception goes on
    };
    // `agent`: the channel was made for this session, and may be made wider for long messages.
    enum class Owner { agent, others };
    Sink(Ring& ring, Fd fd, bool is_socket, Events events, Owner owner);
    ~Sink() override { assert(idle()); }

    void use_ledger(Ledger& ledger, Ledger::Flow flow) { ledger_ = &ledger, flow_ = flow; }
    // What is in it is pending from then on.
    void leave_ledger();
    // Bytes to be written: append to it, then flush().
    Outbox& pending() { return pending_; }
    // What a socket takes at once is written when it returns.
    void flush();
    size_t pending_bytes() const {
        return pending_.size() + (ledger_ && open_ ? ledger_->unwritten_bytes(flow_) : writing_.size() - written_);
    }
    // Passes the end of file on after everything is written; the descriptor of a socket stays to notice a hang-up.
    void finish();
    void close();
    // Writes nothing from here on: when idle(), what was not written is all in unwritten(), and what was is in the channel.
    // The descriptor stays until take_fd().
    void suspend();
    std::string unwritten() const;
    Fd take_fd() { return std::move(fd_); }
    bool open() const { return open_; }
    bool idle() const { return !writing_now_ && !watching_; }
    int fd() const { return fd_.get(); }
    int error() const { return error_; }  // an errno, where writing failed
    void watch_hangup();
    // At the end of file do not shut a socket down, only close it: others may hold it too.
    void end_by_closing() { end_by_closing_ = true; }

    void complete(int result, std::string_view bytes) override;

  private:
    class Hangup : public Completion {
      public:
        explicit Hangup(Sink& sink) : sink_(sink) {}
        void complete(int result, std::string_view) override;

      private:
        Sink& sink_;
    };
    void completed(int result);
    void hung_up(int result);
    void break_off(ssize_t result);
    void look_for_hangup();
    void end_if_done();
    size_t send_now();
    void write_on();
    void forget_written();
    void widen_once(size_t bytes);
    void flush_ledger();
    void flush_later();
    void writable(int result);
    void drop_fd();

    Ring& ring_;
    Fd fd_;
    bool is_socket_;
    bool ours_;
    bool widened_ = false;
    Events events_;
    Ledger* ledger_ = nullptr;
    Ledger::Flow flow_ = Ledger::kToServer;
    bool polling_ = false;
    bool later_ = false;  // a timer flushes
    Hangup hangup_{*this};
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for tasks that may come too late
    Outbox pending_, writing_;
    size_t written_ = 0;
    int error_ = 0;
    bool open_, suspended_ = false, finishing_ = false, finished_ = false, end_by_closing_ = false, writing_now_ = false,
                watching_ = false;
};

}  // namespace callgate
