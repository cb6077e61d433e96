#include "restart/state_blob.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/limits.h"

namespace callgate {
namespace {

using nlohmann::json;

constexpr std::string_view kMagic = "CGSTATE\n";
constexpr size_t kHeaderBytes = 32;

void append_number(std::string& out, uint64_t number, int bytes) {
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(number >> (8 * i) & 0xff);
}

uint64_t number_at(std::string_view blob, size_t at, int bytes) {
    uint64_t number = 0;
    for (int i = 0; i < bytes; ++i) number |= uint64_t{static_cast<unsigned char>(blob[at + i])} << (8 * i);
    return number;
}

uint64_t checksum(std::string_view bytes) {
    uint64_t sum = 0xcbf29ce484222325ull;
    for (unsigned char byte : bytes) sum = (sum ^ byte) * 0x100000001b3ull;
    return sum;
}

Error damaged(const std::string& how) { return Error::invalid("state of an earlier agent", how); }

}  // namespace

std::string encode_state(const json& state, uint32_t format) {
    std::string payload;
    json::to_cbor(state, payload);
    std::string blob(kMagic);
    append_number(blob, format, 4);
    append_number(blob, 0, 4);
    append_number(blob, payload.size(), 8);
    append_number(blob, checksum(payload), 8);
    return blob += payload;
}

Result<json> decode_state(std::string_view blob) {
    if (blob.size() < kHeaderBytes || !blob.starts_with(kMagic)) return damaged("is none, or was cut off");
    const uint64_t format = number_at(blob, 8, 4);
    if (format > kStateFormat)
        return Error::refused("state of an earlier agent",
                              "has format " + std::to_string(format) + ", and this callgate reads formats up to " +
                                  std::to_string(kStateFormat) + ": it was left by a newer one; start that one");
    if (format == 0) return damaged("has no format");
    const std::string_view payload = blob.substr(kHeaderBytes);
    if (number_at(blob, 16, 8) != payload.size()) return damaged("was cut off");
    if (number_at(blob, 24, 8) != checksum(payload)) return damaged("does not have its checksum");
    try {
        json state = json::from_cbor(payload);
        if (!state.is_object()) return damaged("holds no map");
        return state;
    } catch (const json::exception& problem) {
        return damaged(problem.what());
    }
}

Result<Fd> write_state(const json& state, uint32_t format) {
    const std::string blob = encode_state(state, format);
    Fd memory = Fd::adopt(memfd_create("callgate-state", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!memory) return Error::system("memfd_create", "", errno);
    for (size_t done = 0; done < blob.size();) {
        const ssize_t put = ::write(memory.get(), blob.data() + done, blob.size() - done);
        if (put < 0) return Error::system("write", "memfd", errno);
        done += static_cast<size_t>(put);
    }
    if (fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
        return Error::system("fcntl F_ADD_SEALS", "memfd", errno);
    return memory;
}

Result<json> read_state(const Fd& memory) {
    constexpr int kSealed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    struct stat status;
    if (fstat(memory.get(), &status)) return Error::system("fstat", "memfd", errno);
    if ((fcntl(memory.get(), F_GET_SEALS) & kSealed) != kSealed) return damaged("is not sealed");
    if (static_cast<size_t>(status.st_size) > kStateBytesMax) return damaged("is too long");
    std::string blob(static_cast<size_t>(status.st_size), '\0');
    size_t done = 0;
    while (done < blob.size()) {
        const ssize_t got = ::pread(memory.get(), blob.data() + done, blob.size() - done, static_cast<off_t>(done));
        if (got <= 0) return Error::system("pread", "memfd", got < 0 ? errno : EIO);
        done += static_cast<size_t>(got);
    }
    return decode_state(blob);
}

}  // namespace callgate
