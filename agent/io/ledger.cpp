#include "io/ledger.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "base/limits.h"
#include "io/ledger_size.h"

namespace callgate {
namespace {

constexpr char kMagic[8] = {'C', 'G', 'L', 'E', 'D', 'G', 'E', 'R'};

// Places in the memfd. Only what is used takes memory.
constexpr uint64_t kPage = 4096, kMebibyte = uint64_t{1} << 20;
constexpr uint64_t kHeaderBytes = 4 * kPage;
// One for each slot, behind the header: its length, and the effects. Those that were made before there were any have none.
struct Effects {
    uint32_t bytes, padding;
    char text[Ledger::kEffectsBytesMax];
};
constexpr uint64_t effects_at(uint32_t slot) { return kPage + slot * 2048; }
static_assert(sizeof(Effects) <= 2048 && effects_at(2) <= kHeaderBytes);
constexpr uint64_t kFactsBytes = kMebibyte, kNotesBytes = 16 * kMebibyte;
constexpr uint64_t kReadMost = kMebibyte;  // at once
// A line of the largest size, and what was read before and behind it.
constexpr uint64_t kInputBytes = kFrameBytesMax + 4 * kMebibyte;
// What such a line leads to, and what was not written before.
constexpr uint64_t kOutputBytes = kFrameBytesMax + 8 * kMebibyte;
constexpr uint64_t facts_at(uint32_t area) { return kHeaderBytes + area * kFactsBytes; }
constexpr uint64_t notes_at(uint32_t area) { return facts_at(2) + area * kNotesBytes; }
constexpr uint64_t input_at(unsigned flow) { return notes_at(2) + flow * kInputBytes; }
constexpr uint64_t output_at(unsigned flow) { return input_at(2) + flow * kOutputBytes; }
constexpr uint64_t kFileBytes = output_at(2);

// What is kept in memory although nothing is on its way, of each part.
constexpr uint64_t kBytesKept = 16 * kPage;
// Notes beyond this, a snapshot apart, are replaced by what they come to.
constexpr uint64_t kNotesLong = 4 * kPage;
// Capacity of a pipe of ours: what a write takes at once.
constexpr uint64_t kPipeBytes = 16 * kPage;

enum Phase : uint32_t { kIdle = 0, kFilling = 1, kMoving = 2 };
enum Word : uint32_t { kNone = 0, kInputEnd = 1, kOutputBegin = 3 };  // + flow
constexpr unsigned kNoLength = ~0u;

// The stores of one thread become visible to the process that comes in this order.
void in_order() { std::atomic_signal_fence(std::memory_order_seq_cst); }

}  // namespace

uint64_t ledger_address_bytes() { return kFileBytes; }

struct Ledger::Slot {
    struct Input {  // offsets in the memfd
        uint64_t begin, seen;
        int64_t end;  // the kernel advances it
    } input[kFlows];
    struct Output {  // positions in the stream; `origin` is the one at output_at()
        uint64_t origin, begin, end;
    } output[kFlows];
    uint32_t notes_area, notes_bytes;
    uint32_t state_bytes, goes_back;
    char state[kStateBytesMax];
};

struct Ledger::Header {
    char magic[8];
    uint32_t format, current;  // of the slots
    uint32_t facts_area, facts_bytes[2], padding;
    Slot slots[2];
    struct Call {
        uint32_t word, padding;  // whose value is base + message.msg_len, once the kernel has written that
        uint64_t base;
        mmsghdr message;
        iovec part;
        // Before the kernel can write anything.
        void begin(uint64_t from, const iovec& bytes, uint32_t whose) {
            base = from;
            part = bytes;
            message = {};
            message.msg_hdr.msg_iov = &part;
            message.msg_hdr.msg_iovlen = 1;
            message.msg_len = kNoLength;
            in_order();
            word = whose;
            in_order();
        }
    } call;
    struct Move {
        uint32_t phase, padding;
        uint64_t base, bytes;  // of the output; kMoving: all of it is in our pipe or further
    } moves[kFlows];
};

Result<std::unique_ptr<Ledger>> Ledger::create() {
    std::unique_ptr<Ledger> ledger(new Ledger());
    ledger->memory_ = Fd::adopt(memfd_create("callgate-ledger", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!ledger->memory_) return Error::system("memfd_create", "ledger", errno);
    if (ftruncate(ledger->memory_.get(), static_cast<off_t>(kFileBytes)) ||
        fcntl(ledger->memory_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
        return Error::system("ftruncate", "ledger", errno);
    for (Fd& pipe : ledger->pipes_) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK)) return Error::system("pipe2", "ledger", errno);
        const Fd reading = Fd::adopt(ends[0]), writing = Fd::adopt(ends[1]);
        const std::string path = "/proc/self/fd/" + std::to_string(reading.get());
        pipe = Fd::adopt(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
        if (!pipe) return Error::system("open", path, errno);
    }
    TRY_VOID(ledger->map());
    Header& header = *ledger->header_;
    Slot& first = header.slots[0];
    for (unsigned flow = 0; flow < kFlows; ++flow) {
        first.input[flow].begin = first.input[flow].seen = input_at(flow);
        first.input[flow].end = static_cast<int64_t>(input_at(flow));
    }
    header.format = 1;
    memcpy(header.magic, kMagic, sizeof(kMagic));
    return ledger;
}

Result<std::unique_ptr<Ledger>> Ledger::open(Fd memory, std::array<Fd, kFlows> pipes) {
    std::unique_ptr<Ledger> ledger(new Ledger());
    ledger->memory_ = std::move(memory);
    ledger->pipes_ = std::move(pipes);
    struct stat status;
    if (fstat(ledger->memory_.get(), &status)) return Error::system("fstat", "ledger", errno);
    const int seals = fcntl(ledger->memory_.get(), F_GET_SEALS);
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || static_cast<uint64_t>(status.st_size) < kHeaderBytes)
        return Error::invalid("ledger of an earlier agent", "is none");
    uint32_t format = 0;
    char magic[sizeof(kMagic)];
    if (pread(ledger->memory_.get(), magic, sizeof(magic), 0) != sizeof(magic) || memcmp(magic, kMagic, sizeof(magic)) != 0 ||
        pread(ledger->memory_.get(), &format, sizeof(format), offsetof(Header, format)) != sizeof(format))
        return Error::invalid("ledger of an earlier agent", "is none, or was not finished");
    if (format > kFormat)
        return Error::refused("ledger of an earlier agent",
                              "has format " + std::to_string(format) + ": it was left by a newer callgate; start that one");
    if (format == 0 || static_cast<uint64_t>(status.st_size) != kFileBytes)
        return Error::invalid("ledger of an earlier agent", "has another size");
    TRY_VOID(ledger->map());
    TRY_VOID(ledger->recover());
    ledger->has_effects_ = true;
    return ledger;
}

Ledger::~Ledger() {
    if (memory_start_) munmap(memory_start_, kFileBytes);
}

Status Ledger::map() {
    static_assert(sizeof(Header) <= effects_at(0));
    void* start = mmap(nullptr, kFileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory_.get(), 0);
    if (start == MAP_FAILED) return Error::system("mmap", "ledger", errno);
    memory_start_ = static_cast<char*>(start);
    header_ = reinterpret_cast<Header*>(memory_start_);
    return {};
}

// Each step may be the last one of this process, too: none does harm when it is done again.
Status Ledger::recover() {
    Slot& now = slot();
    const auto& call = header_->call;
    if (call.word >= kOutputBegin + kFlows) return Error::invalid("ledger of an earlier agent", "contradicts itself");
    if (call.word != kNone && call.message.msg_len != kNoLength) {
        const uint64_t value = call.base + call.message.msg_len;
        if (call.word < kOutputBegin) {
            now.input[call.word - kInputEnd].end = static_cast<int64_t>(value);
        } else {
            now.output[call.word - kOutputBegin].begin = value;
        }
    }
    in_order();
    header_->call.word = kNone;
    for (unsigned flow = 0; flow < kFlows; ++flow) {
        Header::Move& move = header_->moves[flow];
        int left = 0;
        if (ioctl(pipes_[flow].get(), FIONREAD, &left)) return Error::system("ioctl FIONREAD", "ledger", errno);
        if (move.phase == kMoving) {
            if (static_cast<uint64_t>(left) > move.bytes)
                return Error::invalid("ledger of an earlier agent", "contradicts itself");
            now.output[flow].begin = move.base + move.bytes - static_cast<uint64_t>(left);
        }
        in_order();
        move.phase = kIdle;
        in_order();
        char rest[kPage];
        while (::read(pipes_[flow].get(), rest, sizeof(rest)) > 0) {
        }
        const Slot::Input& input = now.input[flow];
        const Slot::Output& output = now.output[flow];
        const auto end = static_cast<uint64_t>(input.end);
        const bool holds = input_at(flow) <= input.begin && input.begin <= input.seen && input.seen <= end &&
                           end <= input_at(flow) + kInputBytes && output.origin <= output.begin && output.begin <= output.end &&
                           output.end - output.origin <= kOutputBytes;
        if (!holds) return Error::invalid("ledger of an earlier agent", "contradicts itself");
    }
    if (now.notes_bytes > kNotesBytes || now.state_bytes > kStateBytesMax || header_->current > 1)
        return Error::invalid("ledger of an earlier agent", "contradicts itself");
    return {};
}

Ledger::Slot& Ledger::slot() const { return header_->slots[header_->current & 1]; }

Status Ledger::write_facts(std::string_view facts) {
    if (facts.size() > kFactsBytes) return Error{ErrorKind::limit, 0, "ledger", "the description of the session is too long"};
    const uint32_t next = 1 - header_->facts_area;
    facts.copy(at(facts_at(next)), facts.size());
    header_->facts_bytes[next] = static_cast<uint32_t>(facts.size());
    in_order();
    header_->facts_area = next;
    return {};
}

std::string_view Ledger::facts() const {
    const uint32_t area = header_->facts_area & 1;
    return {at(facts_at(area)), std::min<size_t>(header_->facts_bytes[area], kFactsBytes)};
}

ssize_t Ledger::read(Flow flow, int fd, bool is_socket) {
    Slot::Input& input = slot().input[flow];
    const uint64_t room = input_at(flow) + kInputBytes - static_cast<uint64_t>(input.end);
    if (room == 0) return -ENOBUFS;
    const size_t most = std::min(room, kReadMost);
    if (!is_socket) {
        const ssize_t got = splice(fd, nullptr, memory_.get(), &input.end, most, SPLICE_F_NONBLOCK);
        return got < 0 ? -errno : got;
    }
    auto& call = header_->call;
    const auto base = static_cast<uint64_t>(input.end);
    call.begin(base, {at(base), most}, uint32_t{kInputEnd} + uint32_t{flow});
    const int got = recvmmsg(fd, &call.message, 1, MSG_DONTWAIT, nullptr);
    const ssize_t result = got == 1 ? static_cast<ssize_t>(call.message.msg_len) : got == 0 ? -EAGAIN : -errno;
    if (result > 0) input.end += result;
    in_order();
    call.word = kNone;
    return result;
}

bool Ledger::add(Flow flow, std::string_view bytes) {
    Slot::Input& input = slot().input[flow];
    const auto end = static_cast<uint64_t>(input.end);
    if (bytes.size() > input_at(flow) + kInputBytes - end) return false;
    bytes.copy(at(end), bytes.size());
    in_order();
    input.end += static_cast<int64_t>(bytes.size());
    return true;
}

std::string_view Ledger::unseen(Flow flow) const {
    const Slot::Input& input = slot().input[flow];
    return {at(input.seen), static_cast<uint64_t>(input.end) - input.seen};
}

std::string_view Ledger::line_begun(Flow flow) const {
    const Slot::Input& input = slot().input[flow];
    return {at(input.begin), input.seen - input.begin};
}

bool Ledger::notes_are_long(size_t more, size_t snapshot) const { return slot().notes_bytes + more > kNotesLong + snapshot; }

std::string_view Ledger::notes() const { return {at(notes_at(slot().notes_area & 1)), slot().notes_bytes}; }

bool Ledger::goes_back() const { return slot().goes_back != 0; }

std::string_view Ledger::effects() const {
    const auto* effects = reinterpret_cast<const Effects*>(at(effects_at(header_->current & 1)));
    return {effects->text, std::min<size_t>(effects->bytes, kEffectsBytesMax)};
}

// The page is not touched where there never were any.
bool Ledger::keep_effects(uint32_t slot, std::string_view effects) {
    if (effects.size() > kEffectsBytesMax) return false;
    if (effects.empty() && !has_effects_) return true;
    has_effects_ = true;
    auto* kept = reinterpret_cast<Effects*>(at(effects_at(slot)));
    kept->bytes = static_cast<uint32_t>(effects.size());
    effects.copy(kept->text, effects.size());
    return true;
}

std::string_view Ledger::state() const { return {slot().state, slot().state_bytes}; }

bool Ledger::keep_notes(Slot& next, const Turn& turn) {
    if (turn.notes_replace) {
        next.notes_area = 1 - next.notes_area;
        next.notes_bytes = 0;
    }
    if (turn.notes.size() > kNotesBytes - next.notes_bytes || turn.state.size() > kStateBytesMax) return false;
    turn.notes.copy(at(notes_at(next.notes_area) + next.notes_bytes), turn.notes.size());
    next.notes_bytes += static_cast<uint32_t>(turn.notes.size());
    turn.state.copy(next.state, turn.state.size());
    next.state_bytes = static_cast<uint32_t>(turn.state.size());
    return true;
}

bool Ledger::commit(const Turn& turn) {
    const Slot& now = slot();
    Slot& next = header_->slots[1 - (header_->current & 1)];
    next = now;
    uint64_t input_was[kFlows], output_was[kFlows];
    for (unsigned flow = 0; flow < kFlows; ++flow) {
        Slot::Input& input = next.input[flow];
        const uint64_t start = input_at(flow), bytes = turn.line_begun[flow];
        if (bytes > static_cast<uint64_t>(input.end) - input.begin) return false;
        input_was[flow] = static_cast<uint64_t>(input.end);
        input.seen = static_cast<uint64_t>(input.end);
        input.begin = input.seen - bytes;
        // To the front with it, where that costs no more than what has been read since the last time, and
        // overwrites nothing that a process would need that begins with the slot of now.
        const uint64_t before = now.input[flow].begin - start;
        if (bytes == 0 || (before >= kBytesKept && bytes <= before)) {
            memcpy(at(start), at(input.begin), bytes);
            input.begin = start;
            input.seen = start + bytes;
            input.end = static_cast<int64_t>(input.seen);
        }
        Slot::Output& output = next.output[flow];
        const std::string_view parts[] = {turn.output[flow] ? turn.output[flow]->first() : std::string_view(),
                                          turn.output[flow] ? turn.output[flow]->second() : std::string_view()};
        const uint64_t more = parts[0].size() + parts[1].size(), waiting = output.end - output.begin;
        output_was[flow] = output.end - output.origin;
        const uint64_t written = output.begin - output.origin;
        // The same: what is added comes right behind it.
        if (waiting == 0 || (written >= kMebibyte && waiting + more <= written)) {
            memcpy(at(output_at(flow)), at(output_at(flow) + written), waiting);
            output.origin = output.begin;
        }
        if (more > kOutputBytes - (output.end - output.origin)) return false;
        for (const std::string_view part : parts) {
            part.copy(at(output_at(flow) + output.end - output.origin), part.size());
            output.end += part.size();
        }
    }
    if (!keep_notes(next, turn) || !keep_effects(1 - (header_->current & 1), turn.effects)) return false;
    if (turn.goes_back) next.goes_back = 1;
    header_->format = std::max(header_->format, turn.format);
    in_order();
    header_->current = 1 - (header_->current & 1);
    in_order();
    for (unsigned flow = 0; flow < kFlows; ++flow) {
        punch(std::max(static_cast<uint64_t>(next.input[flow].end), input_at(flow) + kBytesKept), input_was[flow]);
        const Slot::Output& output = next.output[flow];
        punch(output_at(flow) + std::max(output.end - output.origin, kBytesKept), output_at(flow) + output_was[flow]);
    }
    return true;
}

// Gives memory back.
void Ledger::punch(uint64_t offset, uint64_t end) const {
    offset = (offset + kPage - 1) / kPage * kPage;
    if (offset >= end) return;
    const auto length = static_cast<off_t>((end - offset + kPage - 1) / kPage * kPage);
    (void)fallocate(memory_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset), length);
}

ssize_t Ledger::write(Flow flow, int fd, bool is_socket) {
    return is_socket ? write_to_socket(flow, fd) : write_to_pipe(flow, fd);
}

ssize_t Ledger::write_to_socket(Flow flow, int fd) {
    Slot::Output& output = slot().output[flow];
    if (output.begin == output.end) return 0;
    auto& call = header_->call;
    const iovec rest{at(output_at(flow) + output.begin - output.origin), output.end - output.begin};
    call.begin(output.begin, rest, uint32_t{kOutputBegin} + uint32_t{flow});
    const int sent = sendmmsg(fd, &call.message, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    const ssize_t result = sent == 1 ? static_cast<ssize_t>(call.message.msg_len) : -errno;
    if (result > 0) output.begin += static_cast<uint64_t>(result);
    in_order();
    call.word = kNone;
    return result == -EAGAIN || result == -EINTR ? 0 : result;
}

// Our pipe is empty before it is filled, so what is in it tells how much has gone on.
ssize_t Ledger::write_to_pipe(Flow flow, int fd) {
    Header::Move& move = header_->moves[flow];
    ssize_t written = 0;
    for (;;) {
        Slot::Output& output = slot().output[flow];
        if (move.phase == kIdle) {
            const uint64_t bytes = std::min(output.end - output.begin, kPipeBytes);
            if (bytes == 0) return written;
            move.base = output.begin;
            in_order();
            move.phase = kFilling;
            in_order();
            const ssize_t put = ::write(pipes_[flow].get(), at(output_at(flow) + output.begin - output.origin), bytes);
            if (put <= 0) {
                const int error = errno;
                move.phase = kIdle;
                return error == EAGAIN || error == EINTR ? written : -error;
            }
            move.bytes = moving_[flow] = static_cast<uint64_t>(put);
            in_order();
            move.phase = kMoving;
        }
        in_order();
        const ssize_t moved = splice(pipes_[flow].get(), nullptr, fd, nullptr, moving_[flow], SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
        if (moved < 0) return errno == EAGAIN || errno == EINTR ? written : -errno;
        written += moved;
        moving_[flow] -= static_cast<uint64_t>(moved);
        if (moving_[flow] > 0) continue;
        output.begin = move.base + move.bytes;
        in_order();
        move.phase = kIdle;
    }
}

Status Ledger::pass_on(Flow flow, int from, int to, bool is_socket) {
    for (;;) {
        if (line_begun(flow).size() + unseen(flow).size() > 0) {
            Outbox all;
            all.append(line_begun(flow));
            all.append(unseen(flow));
            Turn turn;
            turn.output[flow] = &all;
            const Flow other = flow == kToServer ? kToClient : kToServer;
            turn.line_begun[other] = line_begun(other).size() + unseen(other).size();
            const std::string same(state());
            turn.state = same;
            if (!commit(turn)) return Error{ErrorKind::limit, 0, "ledger", "has no room"};
        }
        while (unwritten_bytes(flow) > 0) {
            pollfd room{to, POLLOUT, 0};
            if (::poll(&room, 1, 0) != 1) return Error{ErrorKind::limit, 0, "hand-back", "nobody reads what is on its way"};
            if (const ssize_t put = write(flow, to, is_socket); put < 0)
                return Error::system("write", "what was on its way", static_cast<int>(-put));
        }
        int waiting = 0;
        if (from < 0 || ioctl(from, FIONREAD, &waiting) || waiting <= 0 || read(flow, from, is_socket) <= 0) return {};
    }
}

size_t Ledger::unwritten_bytes(Flow flow) const {
    const Slot::Output& output = slot().output[flow];
    const Header::Move& move = header_->moves[flow];
    const uint64_t begin = move.phase == kMoving ? move.base + move.bytes - moving_[flow] : output.begin;
    return output.end - begin;
}

std::string Ledger::unwritten(Flow flow) const {
    const Slot::Output& output = slot().output[flow];
    const size_t bytes = unwritten_bytes(flow);
    return {at(output_at(flow) + output.end - output.origin - bytes), bytes};
}

}  // namespace callgate
