#include "approval/webhook_secret.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/directory.h"
#include "base/fd.h"

namespace callgate {
namespace {

constexpr size_t kSecretBytesMin = 16, kSecretBytesMax = 4096;
constexpr std::string_view kWhiteSpace = " \t\r\n";

std::string hex_of(const unsigned char* bytes, size_t size) {
    std::string hex(2 * size + 1, '\0');
    sodium_bin2hex(hex.data(), hex.size(), bytes, size);
    hex.pop_back();
    return hex;
}

Status make_secret(const std::string& path) {
    std::array<unsigned char, 32> random;
    randombytes_buf(random.data(), random.size());
    const std::string text = hex_of(random.data(), random.size()) + "\n";
    const Fd file = Fd::adopt(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file) return Error::system("open", path, errno);
    if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return Error::system("write", path, errno);
    if (::fsync(file.get()) != 0) return Error::system("fsync", path, errno);
    return {};
}

}  // namespace

Status check_webhook_secret(const std::string& path, bool make) {
    if (make && is_absent(path)) return {};
    TRY_VOID(read_webhook_secret(path, false));
    return {};
}

Result<std::string> read_webhook_secret(const std::string& path, bool make) {
    if (make && is_absent(path)) TRY_VOID(make_secret(path));
    const Fd file = Fd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file) return Error::system("open", path, errno);
    struct stat status;
    if (::fstat(file.get(), &status) != 0) return Error::system("fstat", path, errno);
    if (!S_ISREG(status.st_mode) || (status.st_mode & (S_IRWXG | S_IRWXO))) {
        return Error::refused(path, "must be a file that only its owner can read; chmod 0600 it");
    }
    std::array<char, kSecretBytesMax + 1> bytes;
    const ssize_t got = ::read(file.get(), bytes.data(), bytes.size());
    if (got < 0) return Error::system("read", path, errno);
    std::string_view secret(bytes.data(), static_cast<size_t>(got));
    // Of what is too long the end is not known.
    if (secret.size() <= kSecretBytesMax) secret = secret.substr(0, secret.find_last_not_of(kWhiteSpace) + 1);
    if (secret.size() < kSecretBytesMin || secret.size() > kSecretBytesMax) {
        return Error::invalid(path, "a secret has 16 to 4096 bytes; \"openssl rand -hex 32\" makes one");
    }
    return std::string(secret);
}

std::string webhook_signature(std::string_view secret, int64_t time_s, std::string_view body) {
    const std::string time = std::to_string(time_s);
    crypto_auth_hmacsha256_state state;
    const auto add = [&state](std::string_view part) {
        crypto_auth_hmacsha256_update(&state, reinterpret_cast<const unsigned char*>(part.data()), part.size());
    };
    crypto_auth_hmacsha256_init(&state, reinterpret_cast<const unsigned char*>(secret.data()), secret.size());
    add(time);
    add(".");
    add(body);
    std::array<unsigned char, crypto_auth_hmacsha256_BYTES> mac;
    crypto_auth_hmacsha256_final(&state, mac.data());
    return "t=" + time + ",v1=" + hex_of(mac.data(), mac.size());
}

}  // namespace callgate
