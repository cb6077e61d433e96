#include "restart/vault.h"

#include <sys/random.h>
#include <sys/socket.h>

#include <cerrno>
#include <climits>

namespace callgate {
namespace {

// Parcels that are over are taken out when there are so many, and more of them than of the others.
constexpr size_t kGoneMost = 64;

Fd copy_of(const Fd& fd) { return Fd::adopt(fcntl(fd.get(), F_DUPFD_CLOEXEC, 0)); }

struct Ends {
    Fd reading, writing;
};

Result<Ends> make_ends(int bytes) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) return Error::system("socketpair", "vault", errno);
    Ends made{Fd::adopt(ends[0]), Fd::adopt(ends[1])};
    if (setsockopt(made.writing.get(), SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)))
        (void)setsockopt(made.writing.get(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    return made;
}

std::string random_label() {
    uint64_t random = 0;
    (void)!getrandom(&random, sizeof(random), 0);
    return "vault " + std::to_string(random);
}

// Several are there where a process ended in replace(): the last one holds, and stays alone.
Result<Bundle> last_bundle(const Fd& parcel) {
    const int from_first = 0, off = -1;
    if (setsockopt(parcel.get(), SOL_SOCKET, SO_PEEK_OFF, &from_first, sizeof(from_first)))
        return Error::system("setsockopt SO_PEEK_OFF", "parcel", errno);
    Result<Bundle> last = receive_bundle(parcel, Take::copy);
    size_t before = 0;
    if (last) {
        for (Result<Bundle> next = receive_bundle(parcel, Take::copy); next; ++before, next = receive_bundle(parcel, Take::copy))
            last = std::move(next);
    }
    (void)setsockopt(parcel.get(), SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off));
    for (; before > 0; --before) (void)receive_bundle(parcel, Take::out);
    return last;
}

}  // namespace

Status Vault::Entry::replace(const Bundle& bundle) {
    if (is_over()) return {};
    TRY_VOID(send_bundle(writing_, bundle));
    (void)receive_bundle(reading_, Take::out);
    return {};
}

void Vault::Entry::remove() {
    if (is_over()) return;
    while (receive_bundle(reading_, Take::out)) {
    }
    reading_.reset();
    writing_.reset();
    ++*gone_;
}

Vault::Vault(Fd reading, Fd writing) : reading_(std::move(reading)), writing_(std::move(writing)), generation_(random_label()) {}

Result<std::unique_ptr<Vault>> Vault::create() {
    Ends ends = TRY(make_ends(INT_MAX / 2));
    return std::unique_ptr<Vault>(new Vault(std::move(ends.reading), std::move(ends.writing)));
}

// Each parcel is put behind the others before it is taken away at the front, so that it is always in.
Result<std::unique_ptr<Vault>> Vault::adopt(Fd reading, Fd writing, std::vector<Found>& found) {
    std::unique_ptr<Vault> vault(new Vault(std::move(reading), std::move(writing)));
    for (;;) {
        Result<Bundle> parcel = receive_bundle(vault->reading_, Take::copy);
        if (!parcel || parcel->label == vault->generation_) return vault;
        if (parcel->fds.size() != 2) {
            found.push_back({});
        } else {
            std::shared_ptr<Entry> entry(new Entry(vault->gone_, std::move(parcel->fds[0]), std::move(parcel->fds[1])));
            Result<Bundle> bundle = last_bundle(entry->reading_);
            if (bundle) {
                TRY_VOID(vault->put(entry));
                found.push_back({std::move(*bundle), std::move(entry)});
            } else {
                entry->reading_.reset();
                if (bundle.error().kind != ErrorKind::gone) found.push_back({});
            }
        }
        (void)receive_bundle(vault->reading_, Take::out);
    }
}

Result<std::shared_ptr<Vault::Entry>> Vault::add(const Bundle& bundle) {
    const std::lock_guard lock(mutex_);
    forget_those_gone();
    Ends ends = TRY(make_ends(1 << 16));
    TRY_VOID(send_bundle(ends.writing, bundle));
    std::shared_ptr<Entry> entry(new Entry(gone_, std::move(ends.reading), std::move(ends.writing)));
    TRY_VOID(put(entry));
    return entry;
}

Status Vault::put(const std::shared_ptr<Entry>& entry) {
    Bundle parcel{generation_, {}};
    parcel.fds.push_back(copy_of(entry->reading_));
    parcel.fds.push_back(copy_of(entry->writing_));
    if (!parcel.fds[0] || !parcel.fds[1]) return Error::system("fcntl F_DUPFD_CLOEXEC", "vault", errno);
    TRY_VOID(send_bundle(writing_, parcel));
    parcels_.push_back(entry);
    return {};
}

void Vault::forget_those_gone() {
    if (*gone_ < kGoneMost || *gone_ < parcels_.size() / 2) return;
    for (size_t left = parcels_.size(); left > 0; --left) {
        const std::shared_ptr<Entry> first = parcels_.front().lock();
        if (first && !first->is_over() && !put(first)) return;
        parcels_.pop_front();
        (void)receive_bundle(reading_, Take::out);
    }
    *gone_ = 0;
}

}  // namespace callgate
