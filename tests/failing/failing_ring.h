// FailingRing: a ring one of whose operations fails, or is done in part only. All others are those of the ring behind it.
//
//   FailingRing ring(std::move(real));  ring.fail_at(3, ENOMEM);  ->  the third operation from here on ends with -ENOMEM, undone
//   ring.fail_at(3, kShort);                                      ->  it reads or writes one byte
#pragma once
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <vector>

#include "failing_calls.h"
#include "io/ring.h"

namespace callgate {

class FailingRing : public Ring {
  public:
    explicit FailingRing(std::unique_ptr<Ring> real) : Ring(real->kind(), real->features()), real_(std::move(real)) {}

    void fail_at(uint64_t number, int error) { countdown_ = number, error_ = error; }
    // True where one has failed.
    bool has_failed() const { return has_failed_; }

    void read(int fd, bool is_socket, Completion* completion, bool waits) override {
        if (const int failure = due(completion); failure == kShort) {
            auto& part = short_reads_[completion] = std::make_unique<ShortRead>(*this, completion);
            real_->read_into(fd, is_socket, part->byte, part.get(), waits);
        } else if (failure == 0) {
            real_->read(fd, is_socket, completion, waits);
        }
    }
    void read_into(int fd, bool is_socket, std::span<char> memory, Completion* completion, bool waits) override {
        const int failure = due(completion);
        if (failure <= 0) real_->read_into(fd, is_socket, failure == kShort ? memory.first(1) : memory, completion, waits);
    }
    void write(int fd, bool is_socket, std::string_view bytes, Completion* completion) override {
        const int failure = due(completion);
        if (failure <= 0) real_->write(fd, is_socket, failure == kShort ? bytes.substr(0, 1) : bytes, completion);
    }
    void accept(int listener, Completion* completion) override {
        if (due(completion) <= 0) real_->accept(listener, completion);
    }
    void poll(int fd, short events, Completion* completion) override {
        if (due(completion) <= 0) real_->poll(fd, events, completion);
    }
    // One that has failed has ended already, and is told in the next turn.
    void cancel(Completion* completion) override {
        const auto part = short_reads_.find(completion);
        real_->cancel(part == short_reads_.end() ? completion : part->second.get());
    }

  private:
    struct ShortRead : Completion {
        ShortRead(FailingRing& made_by, Completion* asked_by) : ring(made_by), owner(asked_by) {}
        void complete(int result, std::string_view) override {
            const std::unique_ptr<ShortRead> self = std::move(ring.short_reads_[owner]);
            ring.short_reads_.erase(owner);
            owner->complete(result, {byte.data(), static_cast<size_t>(std::max(result, 0))});
        }
        FailingRing& ring;
        Completion* owner;
        std::array<char, 1> byte{};
    };

    int due(Completion* completion) {
        if (countdown_ == 0 || --countdown_ > 0) return 0;
        has_failed_ = true;
        if (error_ > 0) failed_.push_back(completion);
        return error_;
    }
    void turn(std::optional<std::chrono::nanoseconds> limit) override {
        const std::vector<Completion*> failed = std::exchange(failed_, {});
        turn_of(*real_, failed.empty() ? limit : std::chrono::nanoseconds(0));
        for (Completion* each : failed) each->complete(-error_, {});
    }

    std::unique_ptr<Ring> real_;
    uint64_t countdown_ = 0;
    int error_ = 0;
    bool has_failed_ = false;
    std::vector<Completion*> failed_;
    std::map<Completion*, std::unique_ptr<ShortRead>> short_reads_;
};

}  // namespace callgate
