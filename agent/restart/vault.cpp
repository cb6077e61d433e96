#include "restart/vault.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <unordered_set>

namespace callgate {
namespace {

// Parcels that are over are taken out when there are so many, and more of them than of the others.
constexpr size_t kGoneMost = 64;
constexpr char kParcelLabel[] = "parcel";

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

// Several are there where a process ended in replace(): the last one holds, and stays alone.
Result<Bundle> last_bundle(const Fd& parcel) {
    for (;;) {
        Result<Bundle> bundle = receive_bundle(parcel, Take::copy);
        int queued = 0;
        const bool is_last =
            !bundle || ioctl(parcel.get(), FIONREAD, &queued) || static_cast<size_t>(queued) <= bundle->label.size();
        if (is_last || !drop_bundle(parcel)) return bundle;
    }
}

// Of the socket, whatever refers to it.
uint64_t cookie_of(const Fd& socket) {
    uint64_t cookie = 0;
    socklen_t bytes = sizeof(cookie);
    (void)getsockopt(socket.get(), SOL_SOCKET, SO_COOKIE, &cookie, &bytes);
    return cookie;
}

}  // namespace

Status Vault::Entry::replace(const Bundle& bundle) {
    const std::lock_guard lock(mutex_);
    if (is_over()) return {};
    TRY_VOID(send_bundle(writing_, bundle));
    (void)drop_bundle(reading_);
    return {};
}

void Vault::Entry::remove() {
    const std::lock_guard lock(mutex_);
    if (is_over()) return;
    while (drop_bundle(reading_)) {
    }
    reading_.reset();
    writing_.reset();
    ++*gone_;
}

Status Vault::Entry::put_into(const Fd& vault) {
    const std::lock_guard lock(mutex_);
    if (is_over()) return Error{ErrorKind::gone, 0, "vault", "was removed"};
    const int ends[] = {reading_.get(), writing_.get()};
    return send_bundle(vault, kParcelLabel, ends);
}

Vault::Vault(Fd reading, Fd writing) : reading_(std::move(reading)), writing_(std::move(writing)) {}

Result<std::unique_ptr<Vault>> Vault::create() {
    Ends ends = TRY(make_ends(INT_MAX / 2));
    return std::unique_ptr<Vault>(new Vault(std::move(ends.reading), std::move(ends.writing)));
}

// All parcels stay where they are: to send so many sockets may have to wait, each time, until the kernel has looked for
// unreachable ones.
Result<std::unique_ptr<Vault>> Vault::adopt(Fd reading, Fd writing, std::vector<Found>& found) {
    std::unique_ptr<Vault> vault(new Vault(std::move(reading), std::move(writing)));
    const int from_first = 0, off = -1;
    if (setsockopt(vault->reading_.get(), SOL_SOCKET, SO_PEEK_OFF, &from_first, sizeof(from_first)))
        return Error::system("setsockopt SO_PEEK_OFF", "vault", errno);
    std::unordered_set<uint64_t> seen;
    while (Result<Bundle> parcel = receive_bundle(vault->reading_, Take::copy)) {
        std::shared_ptr<Entry> entry;
        if (parcel->fds.size() != 2) {
            found.push_back({});
        } else if (seen.insert(cookie_of(parcel->fds[0])).second) {  // there twice where a process ended in forget_those_gone()
            entry.reset(new Entry(vault->gone_, std::move(parcel->fds[0]), std::move(parcel->fds[1])));
            Result<Bundle> bundle = last_bundle(entry->reading_);
            if (bundle) {
                found.push_back({std::move(*bundle), entry});
            } else {
                entry->reading_.reset();
                if (bundle.error().kind != ErrorKind::gone) found.push_back({});
                entry.reset();
            }
        }
        if (!entry) ++*vault->gone_;
        vault->parcels_.push_back(entry);
    }
    (void)setsockopt(vault->reading_.get(), SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off));
    if (std::any_of(found.begin(), found.end(), [](const Found& each) { return !each.entry; })) vault->forget_those_gone();
    return vault;
}

Result<std::shared_ptr<Vault::Entry>> Vault::add(const Bundle& bundle) {
    const std::lock_guard lock(mutex_);
    forget_some();
    Ends ends = TRY(make_ends(1 << 16));
    TRY_VOID(send_bundle(ends.writing, bundle));
    std::shared_ptr<Entry> entry(new Entry(gone_, std::move(ends.reading), std::move(ends.writing)));
    TRY_VOID(put(entry));
    return entry;
}

Status Vault::put(const std::shared_ptr<Entry>& entry) {
    TRY_VOID(entry->put_into(writing_));
    parcels_.push_back(entry);
    return {};
}

void Vault::forget_some() {
    if (*gone_ >= kGoneMost && *gone_ >= parcels_.size() / 2) forget_those_gone();
}

// Each of the others is put behind all before it is taken away at the front, so that it is always in.
void Vault::forget_those_gone() {
    for (size_t left = parcels_.size(); left > 0; --left) {
        if (const std::shared_ptr<Entry> first = parcels_.front().lock()) {
            const Status again = put(first);
            if (!again && again.error().kind != ErrorKind::gone) return;
        }
        parcels_.pop_front();
        (void)drop_bundle(reading_);
    }
    *gone_ = 0;
}

}  // namespace callgate
