#include "base/kept_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "base/limits.h"

namespace callgate {
namespace {

constexpr char kMagic[8] = {'C', 'G', 'M', 'E', 'M', 'O', 'R', 'Y'};
constexpr size_t kPage = 4096;
constexpr size_t kQueueAt = kPage, kQueueBytes = kPage + kAuditQueueBytes;
constexpr size_t kSessionsAt = kQueueAt + kQueueBytes;
constexpr size_t kFileBytes = kSessionsAt + kAuditSessionsBytes;

}  // namespace

struct KeptMemory::Header {
    char magic[8];
    // Of everything in here: who changes a part, the form of a queued record included, raises it.
    uint32_t format;
    uint32_t starts;
};
constexpr uint32_t kFormat = 1;

Result<std::unique_ptr<KeptMemory>> KeptMemory::create() {
    std::unique_ptr<KeptMemory> made(new KeptMemory());
    made->memory_ = Fd::adopt(memfd_create("callgate-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!made->memory_) return Error::system("memfd_create", "kept memory", errno);
    if (ftruncate(made->memory_.get(), static_cast<off_t>(kFileBytes)) ||
        fcntl(made->memory_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
        return Error::system("ftruncate", "kept memory", errno);
    TRY_VOID(made->map());
    auto* header = reinterpret_cast<Header*>(made->start_);
    header->format = kFormat;
    memcpy(header->magic, kMagic, sizeof(kMagic));
    return made;
}

Result<std::unique_ptr<KeptMemory>> KeptMemory::adopt(Fd memory) {
    std::unique_ptr<KeptMemory> found(new KeptMemory());
    found->memory_ = std::move(memory);
    struct stat status;
    if (fstat(found->memory_.get(), &status)) return Error::system("fstat", "kept memory", errno);
    const int seals = fcntl(found->memory_.get(), F_GET_SEALS);
    Header header;
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || pread(found->memory_.get(), &header, sizeof(header), 0) != sizeof(header) ||
        memcmp(header.magic, kMagic, sizeof(kMagic)) != 0)
        return Error::invalid("memory of an earlier agent", "is none");
    if (header.format != kFormat || static_cast<size_t>(status.st_size) != kFileBytes)
        return Error::refused("memory of an earlier agent", "was left by another version of callgate");
    TRY_VOID(found->map());
    return found;
}

KeptMemory::~KeptMemory() {
    if (start_) munmap(start_, kFileBytes);
}

Status KeptMemory::map() {
    void* start = mmap(nullptr, kFileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory_.get(), 0);
    if (start == MAP_FAILED) return Error::system("mmap", "kept memory", errno);
    start_ = static_cast<std::byte*>(start);
    return {};
}

uint32_t KeptMemory::starts() const { return reinterpret_cast<const Header*>(start_)->starts; }

void KeptMemory::set_starts(uint32_t starts) { reinterpret_cast<Header*>(start_)->starts = starts; }

std::span<std::byte> KeptMemory::audit_queue() const { return {start_ + kQueueAt, kQueueBytes}; }

std::span<std::byte> KeptMemory::audit_sessions() const { return {start_ + kSessionsAt, kAuditSessionsBytes}; }

}  // namespace callgate
