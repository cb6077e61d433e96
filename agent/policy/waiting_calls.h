// WaitingCalls: the calls that wait for room in a counter, one line for each counter, in the order in which they came.
//
// A call of whatever session joins the line of the counter that it did not fit into. The first of a line is tried again
// when its window opens or something is given back, and those behind it after it; while a line is not empty, no other
// call that may wait goes past it. A call whose time is over gets its last turn wherever it stands.
//
//   wait(key, a, due 30 s, deadline 60 s), wait(key, b, …)  ->  run(30 s): a.turn(); if a left the line, b.turn()
//
// No clock of its own: the owner calls run() when `wake` said so. One thread. turn() may leave or stay, may make
// other calls leave, and may destroy them and itself; it is never called but from run().
#pragma once
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

namespace callgate {

// No counter has this key: the line in which calls of the agent before have their first turn, in their order.
inline constexpr std::string_view kLineOfBefore = "(waited in the agent before)";

class WaitingCalls;

class WaitingCall {
  public:
    WaitingCall() = default;
    virtual ~WaitingCall();  // leaves its line
    WaitingCall(const WaitingCall&) = delete;
    WaitingCall& operator=(const WaitingCall&) = delete;

    // Judge it again: it may take room in the counter `key`; that is empty where it is not the first of its line. Leaves
    // the line, or waits again, which after its deadline it must not.
    virtual void turn(std::string_view key, int64_t now_ns) = 0;

    bool is_waiting() const { return line_ != nullptr; }
    int64_t deadline_ns() const { return deadline_ns_; }  // monotonic

  private:
    friend class WaitingCalls;
    WaitingCalls* line_ = nullptr;
    std::string key_;
    int64_t due_ns_ = 0, deadline_ns_ = 0;
    std::list<WaitingCall*>::iterator place_;
};

class WaitingCalls {
  public:
    WaitingCalls() = default;
    WaitingCalls(const WaitingCalls&) = delete;
    WaitingCalls& operator=(const WaitingCalls&) = delete;
    ~WaitingCalls();

    // Set by the owner: run() is to be called at this time (monotonic), or earlier.
    std::function<void(int64_t at_ns)> wake;

    bool has_line(std::string_view key) const { return !lines_.empty() && lines_.find(key) != lines_.end(); }
    // At the end of the line of `key`, or where it is if it is in that line already.
    void wait(std::string_view key, WaitingCall& call, int64_t due_ns, int64_t deadline_ns);
    void leave(WaitingCall& call);
    // Something was given back to this counter.
    void room_made(std::string_view key);
    void run(int64_t now_ns);
    size_t size() const { return size_; }

  private:
    struct Hash {
        using is_transparent = void;
        size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };
    using Line = std::list<WaitingCall*>;
    void run_line(const std::string& key, int64_t now_ns);
    void wake_at(int64_t at_ns);

    std::unordered_map<std::string, Line, Hash, std::equal_to<>> lines_;  // none is empty
    size_t size_ = 0;
    int64_t armed_for_ns_ = INT64_MAX;
};

}  // namespace callgate
