// A parcel: any number of labelled bundles of descriptors, behind one descriptor.
//
// It is the reading end of a socket pair whose messages are the bundles (SCM_RIGHTS); the writing end is
// closed. Whoever keeps it keeps them all, knows nothing of them, and lets go of them all the moment that
// they have been taken out, though it may still have a duplicate. So a store of descriptors needs one entry
// for all sessions: systemd compares each entry with every other, and hands their names to the next agent in
// one variable of at most 128 KB.
//
//   pack({{"session", {a, b}}, {"session", {c}}})  ->  fd    unpack(fd)  ->  the same, in order; a second
//   time: nothing
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace callgate {

struct Bundle {
    std::string label;    // 1 to kLabelBytesMax bytes
    std::vector<Fd> fds;  // at most kBundleDescriptorsMax
    static constexpr size_t kLabelBytesMax = 64, kBundleDescriptorsMax = 16;
};

// One message of such a socket. Neither waits. `copy` leaves the bundle in the socket; ErrorKind::gone where
// there is none.
enum class Take { out, copy };
Status send_bundle(const Fd& socket, const Bundle& bundle);
Status send_bundle(const Fd& socket, std::string_view label, std::span<const int> fds);
Result<Bundle> receive_bundle(const Fd& socket, Take take);
// Takes one out without a look at it. False where there is none.
bool drop_bundle(const Fd& socket);

// The descriptors stay the caller's.
Result<Fd> pack(const std::vector<Bundle>& bundles);
Result<std::vector<Bundle>> unpack(const Fd& parcel);

}  // namespace callgate
