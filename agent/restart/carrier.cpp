#include "restart/carrier.h"

#include <systemd/sd-daemon.h>

#include <cerrno>
#include <cstdlib>
#include <string_view>

namespace callgate {
namespace {

constexpr uint64_t kAnswerMicroseconds = 5'000'000;

Status store(const char* name, const Fd& entry) {
    const std::string message = "FDSTORE=1\nFDPOLL=0\nFDNAME=" + std::string(name);
    const int fd = entry.get();
    const int sent = sd_pid_notify_with_fds(0, 0, message.c_str(), &fd, 1);
    if (sent < 0) return Error::system("sd_pid_notify_with_fds", "FDSTORE=1", -sent);
    return {};
}

Status wait_until_read() {
    const int answered = sd_notify_barrier(0, kAnswerMicroseconds);
    if (answered < 0) return Error::system("sd_notify_barrier", "FDSTORE=1", -answered);
    return {};
}

}  // namespace

Carrier Carrier::from_environment() {
    Kind kind = Kind::none;
    if (getenv("NOTIFY_SOCKET")) kind = getenv(kKeeperVariable) ? Kind::keeper : Kind::systemd;
    Carrier carrier(kind);
    char** names = nullptr;
    const int count = sd_listen_fds_with_names(1, &names);
    for (int i = 0; i < count; ++i) {
        Fd fd = Fd::adopt(SD_LISTEN_FDS_START + i);
        const std::string_view name = names[i];
        if (name == kStoreName) carrier.left_ = std::move(fd);
        if (name == kVaultReadingName) carrier.vault_reading_ = std::move(fd);
        if (name == kVaultWritingName) carrier.vault_writing_ = std::move(fd);
        if (name == kMemoryName) carrier.memory_ = std::move(fd);
        free(names[i]);
    }
    free(names);
    return carrier;
}

void Carrier::forget() const {
    if (kind_ != Kind::none) sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", kStoreName);
}

void Carrier::forget_memory() const {
    if (kind_ != Kind::none) sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", kMemoryName);
}

Status Carrier::keep_memory(const Fd& memory) const {
    TRY_VOID(store(kMemoryName, memory));
    return wait_until_read();
}

Status Carrier::keep(const Fd& parcel) const {
    if (kind_ == Kind::none)
        return Error::refused("store of descriptors", "nobody keeps one: start the agent with \"callgate keep\"");
    TRY_VOID(store(kStoreName, parcel));
    return wait_until_read();
}

Status Carrier::keep_vault(const Fd& reading, const Fd& writing) const {
    TRY_VOID(store(kVaultReadingName, reading));
    TRY_VOID(store(kVaultWritingName, writing));
    return wait_until_read();
}

}  // namespace callgate
