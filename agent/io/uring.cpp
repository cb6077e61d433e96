#include "io/uring.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>

namespace callgate {
namespace {

// What the ring may be asked for: a seccomp filter does not see that.
constexpr io_uring_op kOperations[] = {IORING_OP_READ,   IORING_OP_RECV,     IORING_OP_WRITE,       IORING_OP_SEND,
                                       IORING_OP_ACCEPT, IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL};

struct Mode {
    unsigned flags;
    const char* name;
};
constexpr Mode kModes[] = {
    {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, "single issuer, deferred task work"},
    {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN, "single issuer, cooperative task work"},
    {IORING_SETUP_COOP_TASKRUN, "cooperative task work"},
    {0, "plain"},
};

}  // namespace

Result<std::unique_ptr<Ring>> Uring::create() {
    int error = 0;
    for (const Mode& mode : kModes) {
        io_uring ring{};
        io_uring_params params{};
        params.flags = mode.flags | IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED;
        params.cq_entries = 16384;
        error = io_uring_queue_init_params(2048, &ring, &params);
        if (error) continue;
        std::unique_ptr<Uring> made(new Uring(ring, mode.name));
        TRY_VOID(made->prepare_buffers());
        TRY_VOID(made->enable());
        return std::unique_ptr<Ring>(std::move(made));
    }
    return Error::system("io_uring_setup", "", -error);
}

Uring::Uring(const io_uring& ring, const char* mode) : Ring(Kind::io_uring, std::string("io_uring: ") + mode), ring_(ring) {}

Status Uring::prepare_buffers() {
    // Linux 5.19 has both.
    io_uring_probe* probe = io_uring_get_probe_ring(&ring_);
    if (probe && io_uring_opcode_supported(probe, IORING_OP_SOCKET)) poll_first_ = IORING_RECVSEND_POLL_FIRST;
    if (probe) io_uring_free_probe(probe);

    size_t bytes = kBuffers * kReadBytes;
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return Error::system("mmap", "read buffers", errno);
    buffers_ = static_cast<char*>(memory);
    size_t ring_bytes = kBuffers * sizeof(io_uring_buf);
    memory = mmap(nullptr, ring_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return Error::system("mmap", "buffer ring", errno);
    buffer_ring_ = static_cast<io_uring_buf_ring*>(memory);
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<uint64_t>(memory);
    registration.ring_entries = kBuffers;
    registration.bgid = kBufferGroup;
    if (int failed = io_uring_register_buf_ring(&ring_, &registration, 0))
        return Error::system("io_uring_register_buf_ring", "", -failed);
    io_uring_buf_ring_init(buffer_ring_);
    for (unsigned i = 0; i < kBuffers; ++i)
        io_uring_buf_ring_add(buffer_ring_, buffers_ + i * kReadBytes, kReadBytes, i, io_uring_buf_ring_mask(kBuffers), i);
    io_uring_buf_ring_advance(buffer_ring_, kBuffers);
    return {};
}

// For good; nothing can be registered with it any more.
Status Uring::enable() {
    std::vector<io_uring_restriction> allowed;
    for (io_uring_op operation : kOperations) {
        io_uring_restriction& each = allowed.emplace_back();
        each.opcode = IORING_RESTRICTION_SQE_OP;
        each.sqe_op = static_cast<uint8_t>(operation);
    }
    io_uring_restriction& flags = allowed.emplace_back();
    flags.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
    flags.sqe_flags = IOSQE_BUFFER_SELECT;
    // liburing 2.3 does not export its own names for these.
    const int fd = ring_.ring_fd;
    const auto count = static_cast<unsigned>(allowed.size());
    int error = io_uring_register(fd, IORING_REGISTER_RESTRICTIONS, allowed.data(), count);
    if (!error) error = io_uring_register(fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
    if (error) return Error::system("io_uring_register", "restrictions", -error);
    return {};
}

Uring::~Uring() {
    io_uring_queue_exit(&ring_);
    if (buffer_ring_) munmap(buffer_ring_, kBuffers * sizeof(io_uring_buf));
    if (buffers_) munmap(buffers_, kBuffers * kReadBytes);
}

io_uring_sqe* Uring::next_entry() {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    while (!entry) {
        io_uring_submit(&ring_);
        entry = io_uring_get_sqe(&ring_);
    }
    return entry;
}

void Uring::read(int fd, bool is_socket, Completion* completion, bool waits) {
    io_uring_sqe* entry = next_entry();
    if (is_socket) {
        io_uring_prep_recv(entry, fd, nullptr, kReadBytes, 0);
        if (waits) entry->ioprio = poll_first_;
    } else {
        io_uring_prep_read(entry, fd, nullptr, kReadBytes, -1);
    }
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = kBufferGroup;
    entry->user_data = reinterpret_cast<uint64_t>(completion);
}

void Uring::read_into(int fd, bool is_socket, std::span<char> memory, Completion* completion, bool waits) {
    io_uring_sqe* entry = next_entry();
    if (is_socket) {
        io_uring_prep_recv(entry, fd, memory.data(), memory.size(), 0);
        if (waits) entry->ioprio = poll_first_;
    } else {
        io_uring_prep_read(entry, fd, memory.data(), memory.size(), -1);
    }
    entry->user_data = reinterpret_cast<uint64_t>(completion);
}

void Uring::write(int fd, bool is_socket, std::string_view bytes, Completion* completion) {
    io_uring_sqe* entry = next_entry();
    unsigned length = static_cast<unsigned>(std::min<size_t>(bytes.size(), 1u << 30));
    if (is_socket) {
        io_uring_prep_send(entry, fd, bytes.data(), length, MSG_NOSIGNAL);
    } else {
        io_uring_prep_write(entry, fd, bytes.data(), length, -1);
    }
    entry->user_data = reinterpret_cast<uint64_t>(completion);
}

void Uring::accept(int listener, Completion* completion) {
    io_uring_sqe* entry = next_entry();
    io_uring_prep_accept(entry, listener, nullptr, nullptr, SOCK_CLOEXEC);
    entry->user_data = reinterpret_cast<uint64_t>(completion);
}

void Uring::poll(int fd, short events, Completion* completion) {
    io_uring_sqe* entry = next_entry();
    io_uring_prep_poll_add(entry, fd, static_cast<unsigned>(events));
    entry->user_data = reinterpret_cast<uint64_t>(completion);
}

void Uring::cancel(Completion* completion) {
    io_uring_sqe* entry = next_entry();
    io_uring_prep_cancel64(entry, reinterpret_cast<uint64_t>(completion), IORING_ASYNC_CANCEL_ALL);
    entry->user_data = 0;
}

void Uring::handle(const io_uring_cqe& entry) {
    auto* completion = reinterpret_cast<Completion*>(entry.user_data);
    if (!completion) return;
    if (!(entry.flags & IORING_CQE_F_BUFFER)) return completion->complete(entry.res, {});
    unsigned number = entry.flags >> IORING_CQE_BUFFER_SHIFT;
    char* memory = buffers_ + number * kReadBytes;
    completion->complete(entry.res, {memory, entry.res > 0 ? static_cast<size_t>(entry.res) : 0});
    io_uring_buf_ring_add(buffer_ring_, memory, kReadBytes, number, io_uring_buf_ring_mask(kBuffers), 0);
    io_uring_buf_ring_advance(buffer_ring_, 1);
}

void Uring::turn(std::optional<std::chrono::nanoseconds> limit) {
    __kernel_timespec timeout{};
    if (limit) timeout = {limit->count() / 1'000'000'000, limit->count() % 1'000'000'000};
    io_uring_cqe* first = nullptr;
    io_uring_submit_and_wait_timeout(&ring_, &first, 1, limit ? &timeout : nullptr, nullptr);
    io_uring_cqe* batch[256];
    unsigned count;
    while ((count = io_uring_peek_batch_cqe(&ring_, batch, 256)) > 0) {
        for (unsigned i = 0; i < count; ++i) handle(*batch[i]);
        io_uring_cq_advance(&ring_, count);
    }
}

}  // namespace callgate
