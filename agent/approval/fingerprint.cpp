#include "approval/fingerprint.h"

#include <sodium.h>

#include <vector>

#include "jsonrpc/canonical.h"
#include "policy/caller.h"

namespace callgate {
namespace {

constexpr std::string_view kMeta = "_meta";
// A repeated call has another one. What none of our clients sends is not here: it may decide what a server does.
constexpr std::string_view kCallNames[] = {
    "progressToken",                                   // of the protocol: where progress goes
    "traceparent",           "tracestate", "baggage",  // of W3C Trace Context
    "claudecode/toolUseId",                            // Claude Code
    "vscode.requestId",                                // Visual Studio Code
    "x-codex-turn-metadata", "callId",                 // Codex
};

class Hash {
  public:
    Hash() { crypto_hash_sha256_init(&state_); }
    // Each part with its length, so that none can look like the end of one and the beginning of another.
    void add(std::string_view part) {
        const uint64_t size = part.size();
        crypto_hash_sha256_update(&state_, reinterpret_cast<const unsigned char*>(&size), sizeof size);
        crypto_hash_sha256_update(&state_, reinterpret_cast<const unsigned char*>(part.data()), part.size());
    }
    std::array<char, 32> done() {
        std::array<char, 32> hash;
        static_assert(crypto_hash_sha256_BYTES == sizeof hash);
        crypto_hash_sha256_final(&state_, reinterpret_cast<unsigned char*>(hash.data()));
        return hash;
    }

  private:
    crypto_hash_sha256_state state_;
};

void add_server(Hash& hash, const ServerIdentity* server) {
    if (server == nullptr) return hash.add("");
    hash.add(server->package.ecosystem);
    hash.add(server->package.name);
    hash.add(server->package.version);
    hash.add(server->process.exe);
    hash.add(server->process.cwd);
    hash.add(std::to_string(server->process.uid));
    hash.add(server->command);
    hash.add(std::to_string(server->listens.size()));
    for (const std::string& address : server->listens) hash.add(address);
}

}  // namespace

std::optional<CallFingerprint> fingerprint_of(const ApprovalQuestion& question) {
    std::vector<OmittedMember> omitted;
    for (std::string_view name : kCallNames) omitted.push_back({kMeta, name});
    for (const std::string& name : question.rules->ignored_meta) omitted.push_back({kMeta, name});
    if (!question.is_carried && !question.are_params) {
        omitted.push_back({"name"});
        omitted.push_back({"arguments"});
    }
    std::string arguments, params;
    if (!append_canonical(params, question.params.empty() ? "{}" : question.params, omitted)) return std::nullopt;
    if (question.are_params) {
        arguments = params;
        params = "{}";
    } else if (!append_canonical(arguments, question.arguments.empty() ? "{}" : question.arguments)) {
        return std::nullopt;
    }
    Hash hash;
    hash.add("callgate approval 2");
    hash.add(question.policy);
    hash.add(question.revision);
    hash.add(question.caller->grant);
    add_server(hash, question.caller->server_identity);
    hash.add(question.is_carried ? "carried" : "message");
    hash.add(question.method);
    hash.add(question.tool);
    hash.add(arguments);
    hash.add(params);
    return CallFingerprint{hash.done(), params == "{}" ? std::string() : std::move(params)};
}

}  // namespace callgate
