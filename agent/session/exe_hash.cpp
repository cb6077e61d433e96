// exe_sha256_of(): the program file's hash, read through /proc/PID/exe, which stays right when the file is
// replaced.
#include <fcntl.h>
#include <sodium.h>

#include <cerrno>
#include <vector>

#include "base/fd.h"
#include "session/file_stamp.h"
#include "session/identity.h"
#include "session/lru_cache.h"

namespace callgate {
namespace {

constexpr size_t kHashesMax = 1024;
constexpr size_t kChunkBytes = size_t{64} << 10;
// Read while others wait for their turn, some seconds for so much. A larger file has no hash: it may have any size without taking
// room on a disk. Programs with all that they need in one file have some 100 MB.
constexpr off_t kHashedBytesMax = off_t{1} << 30;

LruCache<std::string, std::string>& hashes() {
    static LruCache<std::string, std::string> cache(kHashesMax);
    return cache;
}

}  // namespace

Result<std::string> exe_sha256_of(pid_t pid, const std::function<void()>& now_and_then) {
    const std::string path = "/proc/" + std::to_string(pid) + "/exe";
    Fd fd = Fd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd && (errno == ENOENT || errno == ESRCH)) {
        return Error{ErrorKind::gone, 0, "open " + path, "the process has ended"};
    }
    struct stat status;
    if (!fd || ::fstat(fd.get(), &status) != 0) return Error::system("open", path, errno);
    const std::string key = FileStamp::of(status).key("");
    if (std::optional<std::string> known = hashes().get(key)) return *known;

    const Error too_large{ErrorKind::limit, 0, path, "is larger than 1 GiB and is not hashed"};
    if (status.st_size > kHashedBytesMax) return too_large;
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    std::vector<unsigned char> chunk(kChunkBytes);
    for (off_t hashed = 0;;) {
        ssize_t got = ::read(fd.get(), chunk.data(), chunk.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return Error::system("read", path, errno);
        if (got == 0) break;
        if ((hashed += got) > kHashedBytesMax) return too_large;
        crypto_hash_sha256_update(&state, chunk.data(), static_cast<size_t>(got));
        if (now_and_then) now_and_then();
    }
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_final(&state, digest);
    char hex[sizeof(digest) * 2 + 1];
    sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
    hashes().put(key, hex);
    return std::string(hex);
}

}  // namespace callgate
