#include "policy/revision.h"

#include <sodium.h>

namespace callgate {
namespace {

constexpr size_t kRevisionBytes = 8;

}  // namespace

std::string revision_of(std::string_view text) {
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    char hex[2 * kRevisionBytes + 1];
    sodium_bin2hex(hex, sizeof hex, hash, kRevisionBytes);
    return hex;
}

}  // namespace callgate
