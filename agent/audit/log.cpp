#include "audit/log.h"

#include <sys/stat.h>

#include <cerrno>

#include "audit/writer.h"
#include "base/clock.h"

namespace callgate {
namespace {

Status make_directory_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos || slash == 0) return {};
    const std::string directory = path.substr(0, slash);
    if (::mkdir(directory.c_str(), 0750) != 0 && errno != EEXIST)
        return Error::system("mkdir", directory, errno);
    return {};
}

}  // namespace

struct AuditLog::State {
    State(ArgumentsHash arguments_hash, AuditArguments arguments, AuditFile file, WakeUp wake_up)
        : hash(arguments_hash),
          values(arguments),
          queues(kAuditQueueBytes, std::move(wake_up)),
          retired(std::make_shared<RetiredSessions>(&queues.messages)),
          writer(std::make_unique<AuditWriter>(std::move(file), queues, *retired)) {}
    ~State() {
        writer.reset();  // writes what is queued; then no record points to a session any more
        retired->close();
    }

    const ArgumentsHash hash;
    const AuditArguments values;
    RecordIdMaker ids;  // of messages
    AuditQueues queues;
    std::shared_ptr<RetiredSessions> retired;  // outlives the log where sessions do
    std::unique_ptr<AuditWriter> writer;
};

AuditLog::AuditLog(std::unique_ptr<State> state) : state_(std::move(state)) {}

AuditLog::~AuditLog() = default;

Result<std::unique_ptr<AuditLog>> AuditLog::open(const std::string& path, const std::string& secret_path,
                                                 AuditArguments arguments) {
    TRY_VOID(make_directory_of(path));
    TRY_VOID(make_directory_of(secret_path));
    ArgumentsHash hash = TRY(ArgumentsHash::open(secret_path));
    AuditFile file = TRY(AuditFile::open(path));
    WakeUp wake_up = TRY(WakeUp::create());
    return std::unique_ptr<AuditLog>(
        new AuditLog(std::make_unique<State>(hash, arguments, std::move(file), std::move(wake_up))));
}

std::shared_ptr<const AuditSession> AuditLog::describe(const SessionFacts& facts) const {
    auto release = [retired = state_->retired](const AuditSession* session) {
        retired->retire(std::unique_ptr<const AuditSession>(session));
    };
    return std::shared_ptr<const AuditSession>(new AuditSession(facts), std::move(release));
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
    queues.wake_up.ring_if_asleep();
    return header.id;
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

void AuditLog::reopen() {
    state_->writer->reopen();
}

uint64_t AuditLog::written() const {
    return state_->queues.written;
}

uint64_t AuditLog::lost() const {
    return state_->queues.lost;
}

}  // namespace callgate
