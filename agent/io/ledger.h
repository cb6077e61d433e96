// Ledger: the bytes of one session that are with the agent, in memory that outlives it (a memfd), and exactly
// how far each system call has come: whenever the process is killed, another one goes on with the next byte.
//
//   source ─ read() ─► unseen ─ (the gate) ─ commit() ─► unwritten ─ write() ─► sink
//
// What a system call has done is written down by the kernel before the call ends, so that no kill comes
// between the two:
//
//   a pipe is read      by splice(2) into the memfd: the kernel advances the offset, which lies in it
//   a socket is read, written       by recvmmsg(2), sendmmsg(2): the kernel writes the length, which lies in it
//   a pipe is written   by way of a pipe of our own: a dead process leaves it as full as it was
//
// What the gate has made of the bytes becomes valid as a whole, by one store, in commit(): bytes that were
// seen and not committed are unseen again for the next process, and nothing of what was made of them has been
// written.
//
// One thread at a time. Failures that leave the ledger as it is: no room. Memory: what is on its way, and some pages.
#pragma once
#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/outbox.h"
#include "base/result.h"

namespace callgate {

class Ledger {
  public:
    enum Flow : unsigned { kToServer = 0, kToClient = 1 };
    static constexpr unsigned kFlows = 2;

    static Result<std::unique_ptr<Ledger>> create();
    // That of a process that has ended, whenever it has. ErrorKind::refused where a newer callgate made it and this one would get
    // it wrong.
    static Result<std::unique_ptr<Ledger>> open(Fd memory, std::array<Fd, kFlows> pipes);
    ~Ledger();
    Ledger(const Ledger&) = delete;
    Ledger& operator=(const Ledger&) = delete;

    // The descriptors that open() needs.
    const Fd& memory() const { return memory_; }
    const Fd& pipe(Flow flow) const { return pipes_[flow]; }

    // What does not change with the bytes: written now and then, as a whole.
    Status write_facts(std::string_view facts);
    std::string_view facts() const;

    // Does not wait. Bytes read, 0 at the end, or -errno (-EAGAIN: nothing there; -ENOBUFS: no room). They
    // are unseen.
    ssize_t read(Flow flow, int fd, bool is_socket);
    // Bytes that have come in another way. False where there is no room.
    bool add(Flow flow, std::string_view bytes);
    std::string_view unseen(Flow flow) const;
    // Seen, and the beginning of a line that has not ended.
    std::string_view line_begun(Flow flow) const;

    struct Turn {
        std::array<size_t, kFlows> line_begun{};     // how many of the last bytes seen
        std::array<const Outbox*, kFlows> output{};  // to be written
        std::string_view state;                      // replaces the last one; at most kStateBytesMax
        std::string_view notes;                      // are added to those before, or replace them
        bool notes_replace = false;
        std::string_view effects;  // elsewhere, of this turn, which are yet to come about; at most kEffectsBytesMax
        uint32_t format = 1;       // the lowest of those that can read the state and the notes; the ledger's never falls
        bool goes_back = false;    // the session goes back to its own channels from here on, whoever brings that about
    };
    static constexpr size_t kStateBytesMax = 512, kEffectsBytesMax = 2000;
    // 2: the notes may say what the session was shown of pinned tools.
    static constexpr uint32_t kFormat = 2;
    // Everything unseen has been seen, and led to that. False where there is no room, or less of a line: nothing has changed.
    bool commit(const Turn& turn);
    std::string_view state() const;
    std::string_view notes() const;
    // Of the last commit.
    std::string_view effects() const;
    bool goes_back() const;
    // So many more make it time to replace them all. `snapshot`: of those that are there, what would only be written again.
    bool notes_are_long(size_t more, size_t snapshot = 0) const;

    // Does not wait. Bytes written (0: no room there, or nothing to write), or -errno.
    ssize_t write(Flow flow, int fd, bool is_socket);
    // Of a session that goes back: all that is on its way, and what waits at `from`, goes on as it is. Does not wait:
    // ErrorKind::limit where `to` takes no more, and the same again does the rest. `from` is -1: nothing more comes.
    Status pass_on(Flow flow, int from, int to, bool is_socket);
    size_t unwritten_bytes(Flow flow) const;
    std::string unwritten(Flow flow) const;

  private:
    struct Header;
    struct Slot;
    Ledger() = default;
    Status map();
    Status recover();
    Slot& slot() const;
    char* at(uint64_t offset) const { return memory_start_ + offset; }
    bool keep_notes(Slot& next, const Turn& turn);
    bool keep_effects(uint32_t slot, std::string_view effects);
    ssize_t write_to_pipe(Flow flow, int fd);
    ssize_t write_to_socket(Flow flow, int fd);
    void punch(uint64_t offset, uint64_t end) const;

    Fd memory_;
    std::array<Fd, kFlows> pipes_;           // O_RDWR
    std::array<uint64_t, kFlows> moving_{};  // bytes in pipes_
    char* memory_start_ = nullptr;
    Header* header_ = nullptr;
    bool has_effects_ = false;  // some turn had, perhaps one of the process before
};

}  // namespace callgate
