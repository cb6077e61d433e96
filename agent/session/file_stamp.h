// FileStamp: "is this still the file that was read?" The change time is in it because, unlike the
// modification time, its owner cannot set it back.
#pragma once
#include <sys/stat.h>

#include <cstdint>
#include <string>

namespace callgate {

struct FileStamp {
    uint64_t device = 0, inode = 0;
    int64_t size = 0, mtime_ns = 0, ctime_ns = 0;

    static FileStamp of(const struct stat& status) {
        return FileStamp{status.st_dev, status.st_ino, status.st_size,
                         status.st_mtim.tv_sec * int64_t{1'000'000'000} + status.st_mtim.tv_nsec,
                         status.st_ctim.tv_sec * int64_t{1'000'000'000} + status.st_ctim.tv_nsec};
    }
    // A cache key: the stamp's bytes, then `name`.
    std::string key(const std::string& name) const {
        std::string key(reinterpret_cast<const char*>(this), sizeof(*this));
        return key += name;
    }
};
static_assert(sizeof(FileStamp) == 40);

}  // namespace callgate
