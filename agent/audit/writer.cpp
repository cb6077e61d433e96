#include "audit/writer.h"

#include <pthread.h>
#include <signal.h>

#include "base/capabilities.h"
#include "base/clock.h"

namespace callgate {
namespace {

constexpr int kRetryMilliseconds = static_cast<int>(AuditFile::kRetryNanoseconds / 1'000'000);
// Room for the longest record, so that the buffer never grows.
// A byte of a value becomes six at most.
constexpr size_t kBufferBytes = AuditWriter::kWriteBytes + (size_t{128} << 10) + 6 * kAuditValuesBytesMax;

}  // namespace

AuditWriter::AuditWriter(AuditFile file, AuditQueues& queues, RetiredSessions& retired)
    : file_(std::move(file)), queues_(queues), retired_(retired) {
    buffer_.reserve(kBufferBytes);
    // Signals are for the thread that started us.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_setname_np(thread_.native_handle(), "cg-audit");
}

AuditWriter::~AuditWriter() {
    is_stopping_ = true;
    queues_.wake_up.ring();
    thread_.join();
}

void AuditWriter::reopen() {
    is_reopening_ = true;
    queues_.wake_up.ring();
}

void AuditWriter::run() {
    (void)keep_capabilities(kOfFiles);
    while (true) {
        // Read before draining: what was queued before the stop is then seen.
        const bool is_last = is_stopping_;
        if (is_reopening_.exchange(false)) file_.reopen();
        const bool was_busy = drain();
        if (is_last) return;
        if (was_busy) {
            queues_.wake_up.sleep(kBatchMilliseconds);
        } else {
            wait_for_work();
        }
    }
}

void AuditWriter::wait_for_work() {
    queues_.wake_up.announce();
    const bool is_idle = queues_.messages.is_empty() && queues_.events.next_position() == EventQueue::kNone &&
                         queues_.lost_since_record == 0 && !is_stopping_ && !is_reopening_;
    if (is_idle) {
        queues_.wake_up.sleep(unwritten_ > 0 ? kRetryMilliseconds : -1);
        if (!is_stopping_) queues_.wake_up.sleep(kBatchMilliseconds);
    }
    queues_.wake_up.retract();
}

bool AuditWriter::drain() {
    bool was_busy = false;
    while (take_next()) {
        was_busy = true;
        if (buffer_.size() >= kWriteBytes) flush();
    }
    if (uint64_t lost = queues_.lost_since_record.exchange(0)) add_gap(lost);
    flush();
    retired_.release_before(queues_.messages.position());
    return was_busy;
}

bool AuditWriter::take_next() {
    // In this order: an event that was queued before the message at the front is then seen.
    const std::span<const std::byte> packed = queues_.messages.front();
    const uint64_t event_position = queues_.events.next_position();
    if (event_position != EventQueue::kNone && event_position <= queues_.messages.position()) {
        const std::optional<QueuedEvent> event = queues_.events.pop();
        text_.append_event(buffer_, event->type, event->id, event->time_ns, event->session.get(), event->members);
        end_line(1, 0);
        return true;
    }
    if (packed.empty()) return false;
    QueuedMessage message = QueuedMessage::read(packed);
    std::unique_ptr<const AuditSession> kept;
    if (queues_.messages.position() < queues_.kept_end) {
        kept = queues_.kept.find(message.session_place);
        message.session = kept.get();
    }
    if (message.lost_before > 0) add_gap(message.lost_before);
    text_.append_message(buffer_, message);
    end_line(1, 0);
    queues_.messages.pop();
    return true;
}

void AuditWriter::add_gap(uint64_t lost) {
    const int64_t now_ns = realtime_ns();
    text_.append_gap(buffer_, ids_.next(now_ns / 1'000'000), now_ns, lost, "queue full");
    end_line(0, lost);
}

void AuditWriter::end_line(uint64_t records, uint64_t lost) { lines_.push_back(Line{buffer_.size(), records, lost}); }

// Tells in the file what earlier writes lost. False where that failed again.
bool AuditWriter::write_missing() {
    if (unwritten_ == 0) return true;
    const int64_t now_ns = realtime_ns();
    std::string line;
    text_.append_gap(line, ids_.next(now_ns / 1'000'000), now_ns, unwritten_, file_.failure());
    if (file_.append(line, monotonic_ns()) != line.size()) return false;
    unwritten_ = 0;
    return true;
}

void AuditWriter::flush() {
    const bool is_possible = write_missing();
    const size_t written = is_possible && !buffer_.empty() ? file_.append(buffer_, monotonic_ns()) : 0;
    for (const Line& line : lines_) {
        if (line.end <= written) {
            queues_.written += line.records;
        } else {
            queues_.lost += line.records;
            unwritten_ += line.records + line.lost;
        }
    }
    if (unwritten_ > 0) {
        queues_.trouble.begin(file_.failure());
    } else {
        queues_.trouble.end();
    }
    buffer_.clear();
    lines_.clear();
    queues_.messages.release();
    if (!queues_.messages.is_empty()) return;
    { std::lock_guard lock(queues_.writing); }
    queues_.written_all.notify_all();
}

}  // namespace callgate
