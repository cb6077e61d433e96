#include "policy/counter_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/capabilities.h"
#include "base/clock.h"

namespace callgate {
namespace {

constexpr std::string_view kMagic = "callgate counts\n";
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderBytes = 4096;
constexpr size_t kCellBytes = 512;
// One megabyte: few files grow beyond it.
constexpr size_t kGrowCells = 2048;
constexpr size_t kReadCells = 256;  // at once
// Where there was no room, it is looked for again.
constexpr int64_t kRetryNanoseconds = 1'000'000'000;

struct Header {
    char magic[16];
    uint32_t version, cell_bytes;
    uint64_t checksum;  // of what stands before
};

uint64_t checksum(const void* bytes, size_t size, uint64_t seed) {
    unsigned char key[crypto_shorthash_KEYBYTES] = "callgate";
    std::memcpy(key + 8, &seed, sizeof seed);
    uint64_t hash;
    crypto_shorthash(reinterpret_cast<unsigned char*>(&hash), static_cast<const unsigned char*>(bytes), size, key);
    return hash == 0 ? 1 : hash;  // 0: nothing there
}

}  // namespace

// In the header's page, which is always there.
struct CounterFile::Turns {
    uint64_t file, last;
};
constexpr size_t kTurnsPlace = 64;
static_assert(sizeof(Header) <= kTurnsPlace);

struct CounterFile::Cell {
    struct State {
        uint64_t checksum;
        uint64_t sequence;
        int64_t newest, max;
        int64_t slices[kSlidingSlices + 1];
        size_t bytes_used(CounterKind of) const {
            const size_t used = of == CounterKind::sliding ? kSlidingSlices + 1 : 1;
            return offsetof(State, slices) - sizeof(checksum) + used * sizeof(int64_t);
        }
    };
    uint64_t checksum;  // of who it is; 0: nobody
    int64_t window_s;
    int32_t scale;
    CounterKind kind;
    uint8_t reserved;
    uint16_t key_bytes;
    char key[kCounterKeyBytesMax];
    State states[2];

    size_t identity_bytes() const { return offsetof(Cell, key) - sizeof(checksum) + key_bytes; }
    uint64_t identity() const { return callgate::checksum(&window_s, identity_bytes(), kVersion); }
    bool is_good(const State& state) const {
        return state.checksum != 0 && state.checksum == callgate::checksum(&state.sequence, state.bytes_used(kind), checksum);
    }
    // Null where neither can be read.
    const State* newest_state() const {
        const bool first = is_good(states[0]), second = is_good(states[1]);
        if (first && second) return states[1].sequence > states[0].sequence ? &states[1] : &states[0];
        return first ? &states[0] : second ? &states[1] : nullptr;
    }
};

Result<std::unique_ptr<CounterFile>> CounterFile::open(const std::string& path, std::string& remark) {
    static_assert(sizeof(Cell) == kCellBytes);
    for (int attempt = 0; attempt < 2; ++attempt) {
        Fd file = Fd::adopt(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (!file) return Error::system("open", path, errno);
        struct stat status;
        if (fstat(file.get(), &status) != 0) return Error::system("fstat", path, errno);
        if (S_ISREG(status.st_mode) && (status.st_mode & (S_IWGRP | S_IWOTH))) {
            return Error::refused(path, "can be written by others than its owner; see what it counts, and chmod 0600 it");
        }
        if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
            if (errno == EWOULDBLOCK)
                return Error::refused(path, "in use by another agent; each needs a state_directory of its own");
            return Error::system("flock", path, errno);
        }
        std::unique_ptr<CounterFile> made(new CounterFile(path, std::move(file)));
        switch (made->read_head()) {
            case Head::newer:
                return Error::refused(path,
                                      "written by a newer version of callgate; start that, or move the file away to count anew");
            case Head::damaged: {
                const std::string aside = path + ".damaged";
                if (rename(path.c_str(), aside.c_str()) != 0) return Error::system("rename", path, errno);
                remark = path + ": damaged, every counter begins anew; moved to " + aside;
                continue;
            }
            case Head::empty: TRY_VOID(made->write_header()); break;
            case Head::good: break;
        }
        TRY_VOID(made->map());
        made->start_syncing();
        return made;
    }
    return Error::refused(path, "replaced by somebody else while it was opened");
}

CounterFile::Head CounterFile::read_head() const {
    struct stat status;
    if (fstat(file_.get(), &status) != 0 || !S_ISREG(status.st_mode)) return Head::damaged;
    if (status.st_size == 0) return Head::empty;
    Header header;
    if (pread(file_.get(), &header, sizeof header, 0) != ssize_t{sizeof header}) return Head::damaged;
    if (std::string_view(header.magic, sizeof header.magic) != kMagic) return Head::damaged;
    // A newer version may have another checksum.
    if (header.version > kVersion) return Head::newer;
    if (header.checksum != checksum(&header, offsetof(Header, checksum), 0)) return Head::damaged;
    return header.version == kVersion && header.cell_bytes == kCellBytes ? Head::good : Head::damaged;
}

Status CounterFile::write_header() {
    std::array<char, kHeaderBytes> page{};
    Header header{};
    std::memcpy(header.magic, kMagic.data(), sizeof header.magic);
    header.version = kVersion;
    header.cell_bytes = kCellBytes;
    header.checksum = checksum(&header, offsetof(Header, checksum), 0);
    std::memcpy(page.data(), &header, sizeof header);
    if (pwrite(file_.get(), page.data(), page.size(), 0) != ssize_t{kHeaderBytes}) return Error::system("write", path_, errno);
    if (fsync(file_.get()) != 0) return Error::system("fsync", path_, errno);
    return {};
}

// The whole range that the file may ever have; of what lies behind its end nothing is touched.
Status CounterFile::map() {
    struct stat status;
    if (fstat(file_.get(), &status) != 0) return Error::system("fstat", path_, errno);
    const auto size = static_cast<size_t>(status.st_size);
    readable_ = size > kHeaderBytes ? std::min((size - kHeaderBytes) / kCellBytes, kCountersMax) : 0;
    // A copy may have holes.
    if (!reserve(readable_)) {
        const auto hole = static_cast<size_t>(std::max<off_t>(lseek(file_.get(), 0, SEEK_HOLE), 0));
        cells_ = hole > kHeaderBytes ? std::min((hole - kHeaderBytes) / kCellBytes, readable_) : 0;
    }
    mapped_cells_ = readable_;
    void* memory = mmap(nullptr, kHeaderBytes + kCountersMax * kCellBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
    if (memory == MAP_FAILED) return Error::system("mmap", path_, errno);
    memory_ = static_cast<std::byte*>(memory);
    while (turns().file == 0) randombytes_buf(&turns().file, sizeof(turns().file));
    return {};
}

CounterFile::Turns& CounterFile::turns() const { return *reinterpret_cast<Turns*>(memory_ + kTurnsPlace); }

uint64_t CounterFile::id() const { return turns().file; }

uint64_t CounterFile::last_turn() const { return turns().last; }

void CounterFile::set_last_turn(uint64_t turn) {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    turns().last = turn;
    dirty_.store(true, std::memory_order_relaxed);
}

CounterFile::Cell& CounterFile::cell(uint32_t number) const {
    return *reinterpret_cast<Cell*>(memory_ + kHeaderBytes + number * kCellBytes);
}

// Blocks are reserved before they are written: a full disk must not be a SIGBUS.
bool CounterFile::has_cell(uint32_t number) {
    if (number < cells_) return true;
    if (number >= kCountersMax || (retry_at_ns_ != 0 && monotonic_ns() < retry_at_ns_)) return false;
    return reserve(std::max(std::min((number / kGrowCells + 1) * kGrowCells, kCountersMax), readable_));
}

// From those that are reserved up to `cells`.
bool CounterFile::reserve(size_t cells) {
    if (cells == cells_) return true;
    const auto offset = static_cast<off_t>(kHeaderBytes + cells_ * kCellBytes);
    const int failed = posix_fallocate(file_.get(), offset, static_cast<off_t>((cells - cells_) * kCellBytes));
    if (failed != 0) {
        retry_at_ns_ = monotonic_ns() + kRetryNanoseconds;
        trouble_.begin(Error::system("fallocate", path_, failed).text());
        return false;
    }
    retry_at_ns_ = 0;
    trouble_.end();
    cells_ = cells;
    readable_ = std::max(readable_, cells);
    mapped_cells_ = readable_;
    return true;
}

// Not by way of the mapping: on some file systems that would ask for a block for each page of a hole, and end the agent where
// there is none.
void CounterFile::each(const std::function<void(uint32_t, std::string_view, const CounterImage&)>& use) const {
    damaged_ = 0;
    std::vector<Cell> some(kReadCells);
    for (size_t first = 0; first < readable_; first += kReadCells) {
        const auto offset = static_cast<off_t>(kHeaderBytes + first * kCellBytes);
        const ssize_t got = pread(file_.get(), some.data(), kReadCells * kCellBytes, offset);
        const size_t whole = got > 0 ? static_cast<size_t>(got) / kCellBytes : 0;
        for (size_t i = 0; i < std::min(whole, readable_ - first); ++i) use_cell(static_cast<uint32_t>(first + i), some[i], use);
        if (whole < kReadCells) break;
    }
}

void CounterFile::use_cell(uint32_t number, const Cell& found,
                           const std::function<void(uint32_t, std::string_view, const CounterImage&)>& use) const {
    if (found.checksum == 0) return;
    const bool is_known = found.key_bytes <= kCounterKeyBytesMax && found.checksum == found.identity() && found.window_s > 0 &&
                          (found.kind == CounterKind::calendar || found.kind == CounterKind::sliding);
    const Cell::State* state = is_known ? found.newest_state() : nullptr;
    if (!state) {
        ++damaged_;
        return;
    }
    const size_t slices = found.kind == CounterKind::sliding ? kSlidingSlices + 1 : 1;
    use(number, {found.key, found.key_bytes},
        {found.window_s, state->max, state->newest, found.scale, found.kind, {state->slices, slices}});
}

bool CounterFile::save(uint32_t number, std::string_view key, const CounterImage& image) {
    if (key.size() > kCounterKeyBytesMax || !has_cell(number)) {
        ++unsaved_;
        return false;
    }
    Cell& to = cell(number);
    const bool is_same = to.checksum != 0 && to.window_s == image.window_s && to.kind == image.kind && to.scale == image.scale &&
                         std::string_view(to.key, to.key_bytes) == key;
    if (!is_same) {
        to.checksum = 0;
        to.window_s = image.window_s;
        to.scale = image.scale;
        to.kind = image.kind;
        to.reserved = 0;
        to.key_bytes = static_cast<uint16_t>(key.size());
        std::memcpy(to.key, key.data(), key.size());
        to.checksum = to.identity();
    }
    const Cell::State* latest = is_same ? to.newest_state() : nullptr;
    Cell::State& state = to.states[latest == &to.states[0] ? 1 : 0];
    state.checksum = 0;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    state.sequence = latest ? latest->sequence + 1 : 1;
    state.newest = image.newest;
    state.max = image.max;
    std::copy(image.slices.begin(), image.slices.end(), state.slices);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    state.checksum = checksum(&state.sequence, state.bytes_used(to.kind), to.checksum);
    dirty_.store(true, std::memory_order_relaxed);
    return true;
}

void CounterFile::erase(uint32_t number) {
    if (number >= cells_) return;
    std::memset(static_cast<void*>(&cell(number)), 0, kCellBytes);
    dirty_.store(true, std::memory_order_relaxed);
}

void CounterFile::start_syncing() {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] {
        (void)keep_capabilities(0);
        std::unique_lock lock(mutex_);
        while (!stopping_) {
            changed_.wait_for(lock, kCounterSyncInterval, [this] { return stopping_; });
            if (dirty_.exchange(false)) sync();
        }
    });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_setname_np(thread_.native_handle(), "cg-counters");
}

void CounterFile::sync() { (void)msync(memory_, kHeaderBytes + mapped_cells_ * kCellBytes, MS_SYNC); }

CounterFile::~CounterFile() {
    if (thread_.joinable()) {
        {
            std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        changed_.notify_one();
        thread_.join();
    }
    if (memory_ == nullptr) return;
    sync();
    munmap(memory_, kHeaderBytes + kCountersMax * kCellBytes);
}

}  // namespace callgate
