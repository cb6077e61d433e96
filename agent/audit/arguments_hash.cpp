#include "audit/arguments_hash.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "base/directory.h"
#include "base/fd.h"
#include "base/limits.h"

namespace callgate {
namespace {

constexpr size_t kSecretBytes = 32;
static_assert(crypto_shorthash_siphashx24_BYTES == ArgumentsHash::kBytes);
static_assert(crypto_shorthash_siphashx24_KEYBYTES == 16);

// Written beside its place and then linked there, so that two agents that start at once agree on one secret.
Status create_secret(const std::string& path) {
    unsigned char secret[kSecretBytes];
    randombytes_buf(secret, sizeof(secret));
    const std::string draft = path + "." + std::to_string(::getpid());
    ::unlink(draft.c_str());
    Fd fd = Fd::adopt(::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) return Error::system("create", draft, errno);
    Status status;
    if (::write(fd.get(), secret, sizeof(secret)) != static_cast<ssize_t>(sizeof(secret)) || ::fsync(fd.get()) != 0) {
        status = Error::system("write", draft, errno);
    } else if (::link(draft.c_str(), path.c_str()) != 0 && errno != EEXIST) {
        status = Error::system("link", path, errno);
    }
    ::unlink(draft.c_str());
    sodium_memzero(secret, sizeof(secret));
    return status;
}

Result<std::string> read_secret(const std::string& path) {
    Fd fd = Fd::adopt(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat status;
    if (!fd || ::fstat(fd.get(), &status) != 0) return Error::system("open", path, errno);
    if (!S_ISREG(status.st_mode) || (status.st_mode & 077) != 0 || (status.st_uid != 0 && status.st_uid != ::geteuid())) {
        return Error::refused(path,
                              "the hash secret must be a file of the agent's own user, mode 0600; remove it and "
                              "a new one is made (hashes then differ from earlier ones)");
    }
    char secret[kSecretBytes + 1];
    if (::read(fd.get(), secret, sizeof(secret)) != static_cast<ssize_t>(kSecretBytes)) {
        return Error::invalid(path, "the hash secret must have 32 bytes; remove the file and a new one is made");
    }
    return std::string(secret, kSecretBytes);
}

}  // namespace

Status ArgumentsHash::check(const std::string& path) {
    if (is_absent(path)) return {};
    TRY_VOID(read_secret(path));
    return {};
}

Result<ArgumentsHash> ArgumentsHash::open(const std::string& path) {
    if (sodium_init() < 0) return Error::refused("libsodium", "no source of random bytes");
    if (is_absent(path)) {
        Status created = create_secret(path);
        if (!created.ok()) return created.error();
    }
    const std::string secret = TRY(read_secret(path));
    return ArgumentsHash(secret);
}

ArgumentsHash::ArgumentsHash(std::string_view secret) {
    // Derived, so that the file can serve other purposes under other labels.
    constexpr char kLabel[] = "callgate arguments";
    crypto_generichash(key_.data(), key_.size(), reinterpret_cast<const unsigned char*>(kLabel), sizeof(kLabel) - 1,
                       reinterpret_cast<const unsigned char*>(secret.data()), secret.size());
}

ArgumentsHash::Digest ArgumentsHash::of(std::string_view arguments) const {
    auto sip = [this](std::byte* out, const void* bytes, size_t length) {
        crypto_shorthash_siphashx24(reinterpret_cast<unsigned char*>(out), static_cast<const unsigned char*>(bytes), length,
                                    key_.data());
    };
    Digest digest;
    if (arguments.size() <= kAuditHashBytes) {
        sip(digest.data(), arguments.data(), arguments.size());
        return digest;
    }
    constexpr size_t kHalf = kAuditHashBytes / 2;
    std::byte parts[2 * kBytes + sizeof(uint64_t)];
    sip(parts, arguments.data(), kHalf);
    sip(parts + kBytes, arguments.data() + arguments.size() - kHalf, kHalf);
    const uint64_t length = arguments.size();
    memcpy(parts + 2 * kBytes, &length, sizeof(length));
    sip(digest.data(), parts, sizeof(parts));
    return digest;
}

}  // namespace callgate
