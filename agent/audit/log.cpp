#include "audit/log.h"

#include <chrono>

#include "audit/writer.h"
#include "base/clock.h"
#include "base/directory.h"

namespace callgate {
namespace {

// A file that cannot be written takes nothing: records are then counted as lost, at once.
constexpr int64_t kSettleNanoseconds = 5'000'000'000;

constexpr mode_t kDirectoryMode = 0750;

}  // namespace

struct AuditLog::State {
    State(ArgumentsHash arguments_hash, AuditArguments arguments, AuditFile file, WakeUp wake_up, KeptMemory& memory,
          std::unique_ptr<KeptMemory> own_memory)
        : hash(arguments_hash),
          values(arguments),
          own(std::move(own_memory)),
          kept(std::make_shared<KeptSessions>(memory.audit_sessions())),
          queues(memory.audit_queue(), *kept, std::move(wake_up)),
          retired(std::make_shared<RetiredSessions>(&queues.messages, kept)),
          writer(std::make_unique<AuditWriter>(std::move(file), queues, *retired)) {}
    ~State() {
        writer.reset();  // writes what is queued; then no record points to a session any more
        retired->close();
    }

    const ArgumentsHash hash;
    const AuditArguments values;
    RecordIdMaker ids;                      // of messages
    const std::unique_ptr<KeptMemory> own;  // where nobody else has one
    std::shared_ptr<KeptSessions> kept;     // of sessions that may outlive the log
    AuditQueues queues;
    std::shared_ptr<RetiredSessions> retired;  // outlives the log where sessions do
    std::unique_ptr<AuditWriter> writer;
};

AuditLog::AuditLog(std::unique_ptr<State> state) : state_(std::move(state)) {}

AuditLog::~AuditLog() = default;

Result<std::unique_ptr<AuditLog>> AuditLog::open(const std::string& path, const std::string& secret_path,
                                                 AuditArguments arguments, KeptMemory* memory) {
    TRY_VOID(make_directory_of(path, kDirectoryMode));
    TRY_VOID(make_directory_of(secret_path, kDirectoryMode));
    ArgumentsHash hash = TRY(ArgumentsHash::open(secret_path));
    AuditFile file = TRY(AuditFile::open(path));
    return make(hash, arguments, std::move(file), memory);
}

Result<std::unique_ptr<AuditLog>> AuditLog::open_nowhere() {
    AuditFile file = TRY(AuditFile::open("/dev/null"));
    return make(ArgumentsHash(std::string_view()), AuditArguments::hash, std::move(file), nullptr);
}

Result<std::unique_ptr<AuditLog>> AuditLog::make(const ArgumentsHash& hash, AuditArguments arguments, AuditFile file,
                                                 KeptMemory* memory) {
    WakeUp wake_up = TRY(WakeUp::create());
    std::unique_ptr<KeptMemory> own;
    if (!memory) own = TRY(KeptMemory::create());
    KeptMemory& used = memory ? *memory : *own;
    auto state = std::make_unique<State>(hash, arguments, std::move(file), std::move(wake_up), used, std::move(own));
    if (!memory) state->kept->begin();
    return std::unique_ptr<AuditLog>(new AuditLog(std::move(state)));
}

void AuditLog::settle(const std::function<bool(std::string_view, uint32_t)>& is_committed) {
    AuditQueues& queues = state_->queues;
    queues.messages.decide([&](std::span<const std::byte> packed) {
        const QueuedMessage message = QueuedMessage::read(packed);
        const auto session = state_->kept->find(message.session_place);
        return message.number == 0 || !session || is_committed(session->id(), message.number);
    });
    queues.wake_up.ring();
    // Their sessions lie where those of this process will.
    std::unique_lock lock(queues.writing);
    const auto all_is_written = [&] { return queues.messages.is_empty(); };
    if (queues.written_all.wait_for(lock, std::chrono::nanoseconds(kSettleNanoseconds), all_is_written)) state_->kept->begin();
}

std::shared_ptr<const AuditSession> AuditLog::describe(const SessionFacts& facts) const {
    auto release = [retired = state_->retired](const AuditSession* session) {
        retired->retire(std::unique_ptr<const AuditSession>(session));
    };
    auto session = std::make_unique<AuditSession>(facts);
    session->set_place(state_->kept->add(*session));
    return std::shared_ptr<const AuditSession>(session.release(), std::move(release));
}

RecordId AuditLog::message(const std::shared_ptr<const AuditSession>& session, const MessageRecord& record) {
    AuditQueues& queues = state_->queues;
    QueuedHeader header;
    header.has_values = state_->values == AuditArguments::full;
    header.session = session.get();
    header.time_ns = record.read_ns != 0 ? record.read_ns : realtime_ns();
    header.id = state_->ids.next(header.time_ns / 1'000'000);
    if (queues.lost_since_record.load(std::memory_order_relaxed) > 0) {
        header.lost_before = static_cast<uint32_t>(queues.lost_since_record.exchange(0));
    }
    ArgumentsHash::Digest digest;
    const bool has_arguments = record.message != nullptr && !record.message->arguments.empty();
    if (has_arguments) digest = state_->hash.of(record.message->arguments);
    if (!queue_message(queues.messages, header, record, has_arguments ? &digest : nullptr)) {
        queues.lost_since_record += header.lost_before + uint64_t{1};
        ++queues.lost;
    }
    if (turns_ == 0) publish();
    return header.id;
}

void AuditLog::publish() {
    state_->queues.messages.publish();
    state_->queues.wake_up.ring_if_asleep();
}

void AuditLog::event(std::string_view type, const std::shared_ptr<const AuditSession>& session,
                     const std::vector<std::pair<std::string, std::string>>& members) {
    AuditQueues& queues = state_->queues;
    QueuedEvent event;
    event.time_ns = realtime_ns();
    event.type = type;
    event.session = session;
    event.members = members;
    if (!queues.events.push(std::move(event), queues.messages)) {
        ++queues.lost_since_record;
        ++queues.lost;
    }
    queues.wake_up.ring_if_asleep();
}

void AuditLog::reopen() { state_->writer->reopen(); }

uint64_t AuditLog::written() const { return state_->queues.written; }

uint64_t AuditLog::lost() const { return state_->queues.lost; }

Trouble& AuditLog::trouble() { return state_->queues.trouble; }

}  // namespace callgate
