#include "approval/fingerprint.h"

#include <sodium.h>

#include <string>

#include "jsonrpc/canonical.h"
#include "policy/caller.h"

namespace callgate {

std::optional<std::array<char, 32>> fingerprint_of(const ApprovalQuestion& question) {
    std::string arguments;
    if (!append_canonical(arguments, question.arguments.empty() ? "{}" : question.arguments)) return std::nullopt;
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    // Each part with its length, so that none can look like the end of one and the beginning of another.
    const auto add = [&state](std::string_view part) {
        const uint64_t size = part.size();
        crypto_hash_sha256_update(&state, reinterpret_cast<const unsigned char*>(&size), sizeof size);
        crypto_hash_sha256_update(&state, reinterpret_cast<const unsigned char*>(part.data()), part.size());
    };
    add("callgate approval 1");
    add(question.policy);
    add(question.revision);
    add(question.caller->grant);
    add(question.is_carried ? "carried" : "message");
    add(question.method);
    add(question.tool);
    add(arguments);
    std::array<char, 32> hash;
    static_assert(crypto_hash_sha256_BYTES == sizeof hash);
    crypto_hash_sha256_final(&state, reinterpret_cast<unsigned char*>(hash.data()));
    return hash;
}

}  // namespace callgate
