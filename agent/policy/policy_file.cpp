#include "policy/policy_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "base/limits.h"

namespace callgate {
namespace {

PolicyFile refused(std::string problem) { return {std::nullopt, std::move(problem)}; }
PolicyFile unreadable(int code) { return refused("cannot be read: " + std::string(strerror(code))); }

}  // namespace

PolicyFile read_policy_file(const std::string& path) {
    // O_NONBLOCK: a FIFO of that name must not hold up the start.
    const Fd file = Fd::adopt(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
    if (!file && errno == ELOOP)
        return refused("is a symbolic link, not a regular file; put the policy itself in its place");
    struct stat status;
    if (!file || fstat(file.get(), &status) != 0) return unreadable(errno);
    if (S_ISDIR(status.st_mode)) return refused("is a directory, not a regular file; name its files, as in " + path + "/*.json");
    if (!S_ISREG(status.st_mode)) return refused("is not a regular file; put the policy into one");
    PolicyFile found;
    if (status.st_mode & (S_IWGRP | S_IWOTH)) found.problem = "can be written by others than its owner; chmod go-w it";
    std::string& text = found.text.emplace();
    char buffer[65536];
    for (;;) {
        const ssize_t got = read(file.get(), buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return unreadable(errno);
        if (got == 0) return found;
        text.append(buffer, static_cast<size_t>(got));
        if (text.size() > kPolicyFileBytesMax)
            return refused("is larger than 16 MiB, which no policy needs; split it into one file for each server");
    }
}

}  // namespace callgate
