// Every bound of the agent, with its reason (invariant I6). What happens when one is reached is said beside it.
#pragma once
#include <cstddef>
#include <cstdint>

namespace callgate {

// --- frames -----------------------------------------------------------------------------------------------------
// Largest frame a policy may allow; the default is what the TypeScript SDK's own buffer allows before it closes.
// A longer line is refused and skipped to its LF.
inline constexpr size_t kFrameBytesMax = size_t{64} << 20;
inline constexpr size_t kFrameBytesDefault = size_t{64} << 20;
// C#'s JsonNode stops at 64, the lowest of the SDKs; anything deeper is refused.
inline constexpr int kJsonDepthMax = 64;
// Members of one object, so that the search for duplicate keys stays bounded; more is refused.
inline constexpr size_t kJsonMembersMax = 65536;
// Integers that every SDK represents exactly: |id| <= 2^53 - 1.
inline constexpr int64_t kIdIntegerMax = (int64_t{1} << 53) - 1;
// A string id longer than this is refused: it is kept for every request in flight.
inline constexpr size_t kIdBytesMax = 256;
// A tool, method or other protocol name; longer ones are refused.
inline constexpr size_t kNameBytesMax = 1024;

// --- session ----------------------------------------------------------------------------------------------------
// Requests in flight per session and direction; one more is refused with -32600.
inline constexpr size_t kPendingMax = 65536;
// Bytes waiting to be written in one direction before reading from its source stops (back-pressure).
inline constexpr size_t kOutputBytesHigh = size_t{256} << 10;
// What a channel of ours is widened to when a message is longer than kReadBytes; the largest that an unprivileged
// process may ask for (fs.pipe-max-size).
inline constexpr int kWideChannelBytes = 1 << 20;
// Bytes read from a pipe or socket at once; the default capacity of a Linux pipe.
inline constexpr size_t kReadBytes = size_t{64} << 10;
// Sessions at once; the next server is left alone and reported blind ("session table full").
inline constexpr size_t kSessionsMax = 65536;

// --- audit ------------------------------------------------------------------------------------------------------
// Bytes queued for the writer thread; overflow is counted and recorded as a gap.
inline constexpr size_t kAuditQueueBytes = size_t{8} << 20;
// Argument keys listed in a record; the rest is counted.
inline constexpr size_t kAuditKeysMax = 32;
// Arguments up to this size are hashed whole; of longer ones the first and last half of it, and the length.
inline constexpr size_t kAuditHashBytes = size_t{16} << 10;

// --- policy -----------------------------------------------------------------------------------------------------
inline constexpr size_t kPolicyFileBytesMax = size_t{16} << 20;
// Live counters; when full, expired ones are dropped, and if none is expired the call is denied.
inline constexpr size_t kCountersMax = 1000000;

// --- kernel -----------------------------------------------------------------------------------------------------
// A thread waits in the kernel this long at most for the agent's answer.
inline constexpr uint64_t kHoldNanoseconds = 10'000'000;
// A governed server that has ended stays a zombie this long at most, for the last of its output to reach the client
// first. Only a client that reads nothing makes it last: without the agent its server could not even have ended.
inline constexpr int64_t kExitNanoseconds = 1'000'000'000;

}  // namespace callgate
