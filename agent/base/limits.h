// Every bound of the agent, with its reason (invariant I6). What happens when one is reached is said beside it.
#pragma once
#include <chrono>
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
// State of one session between two agents: a frame of the largest size may wait in each direction, and calls beside them.
// More is taken to be damaged.
inline constexpr size_t kStateBytesMax = size_t{512} << 20;
// A planned restart waits this long for operations of the sessions to be cancelled, which takes no time, before it gives up and
// hands them back; and for those of connections over HTTP, before it cuts them.
inline constexpr std::chrono::milliseconds kSuspendPatience{2000};
// Sessions at once; the next server is left alone and reported blind ("session table full").
inline constexpr size_t kSessionsMax = 65536;

// --- http -------------------------------------------------------------------------------------------------------
// A head, request or status line included. Node's limit is 16 KiB, Go's 1 MiB; longer ones get 431.
inline constexpr size_t kHttpHeadBytesMax = size_t{64} << 10;
// Field lines of one head; more get 431. Servers allow 100 (Python, Java) to 2000 (Node).
inline constexpr size_t kHttpFieldsMax = 256;
// A method; longer ones get 501. The longest that is registered has 17 letters (UPDATEREDIRECTREF).
inline constexpr size_t kHttpMethodBytesMax = 32;
// A request target; longer ones get 414. RFC 9112 §3 asks for 8000 at least.
inline constexpr size_t kHttpTargetBytesMax = size_t{16} << 10;
// Empty lines before a request line (some clients send one after a body); more is refused.
inline constexpr size_t kHttpBlankLinesMax = 4;
// Content-Length or the size of one chunk: every reader's integers hold it exactly, JavaScript's too.
inline constexpr uint64_t kHttpBodyLengthMax = (uint64_t{1} << 53) - 1;
// Digits of a chunk size, leading zeros too (kHttpBodyLengthMax has 14).
inline constexpr size_t kHttpChunkDigitsMax = 16;
// Between a chunk's size and the end of its line: only an extension can make it long.
inline constexpr size_t kHttpChunkLineBytesMax = 1024;
// All trailer lines of a chunked body.
inline constexpr size_t kHttpTrailerBytesMax = size_t{8} << 10;

// A connection that has been closed on our side waits this long for the client's side; then it is cut.
inline constexpr std::chrono::milliseconds kHttpLinger{2000};
// Connections of HTTP clients at once, each with four descriptors; one more is reset and counted.
inline constexpr size_t kHttpConnectionsMax = 65536;
// Sessions over HTTP at once, each some kilobytes; one more ends the one that was unused longest.
inline constexpr size_t kHttpSessionsMax = 8192;
// A session over HTTP has no end of its own where its client just goes away; used later, it is a new one.
inline constexpr int64_t kHttpSessionIdleSeconds = 3600;
// Paths that HTTP+SSE servers take messages at. One more makes that be forgotten which no open stream has had for longest;
// where all of them have streams, kHttpSessionsMax is the bound.
inline constexpr size_t kHttpStreamPathsMax = 1024;
// Messages of one array: each is judged, and a denied array is answered message by message. More is refused.
inline constexpr size_t kBatchMessagesMax = 1024;
// Bytes not yet written to an HTTP+SSE stream beyond which answers of ours no longer go there, but to who asked.
inline constexpr size_t kHttpStreamBytesMax = size_t{1} << 20;

// --- audit ------------------------------------------------------------------------------------------------------
// Bytes queued for the writer thread; overflow is counted and recorded as a gap.
inline constexpr size_t kAuditQueueBytes = size_t{8} << 20;
// What the records of live sessions have in common, some 1 to 2 KB each, for a process that writes the queue after this one
// was killed; records of a session that finds no room are then written without it.
inline constexpr size_t kAuditSessionsBytes = size_t{128} << 20;
// Argument keys listed in a record; the rest is counted.
inline constexpr size_t kAuditKeysMax = 32;
// Arguments up to this size are hashed whole; of longer ones the first and last half of it, and the length.
inline constexpr size_t kAuditHashBytes = size_t{16} << 10;

// Arguments of one record, where their values are written; of longer ones only the length is.
inline constexpr size_t kAuditValuesBytesMax = size_t{64} << 10;

// A line of an audit file that is read back; a longer one is none of ours.
inline constexpr size_t kAuditLineBytesMax = size_t{4} << 20;

// --- policy -----------------------------------------------------------------------------------------------------
inline constexpr size_t kPolicyFileBytesMax = size_t{16} << 20;
// Policies are read again when nothing in their directory has changed for so long, or after so long at the latest.
inline constexpr std::chrono::milliseconds kPolicyQuiet{50};
inline constexpr std::chrono::milliseconds kPolicyQuietMax{1000};
// Live counters; when full, expired ones are dropped, and if none is expired the call is denied.
inline constexpr size_t kCountersMax = 1000000;
// Slices of a sliding window: a caller waits for a tenth of a window more than it must, at most. More would cost memory.
inline constexpr int64_t kSlidingSlices = 10;
// Longest key of a counter; of a longer one the end is replaced by its hash. A cell of the counter file holds it.
inline constexpr size_t kCounterKeyBytesMax = 248;
// The counter file is written to the disk this often: a power cut loses no more than a second with the writing.
inline constexpr std::chrono::milliseconds kCounterSyncInterval{500};
// Counters that the control socket lists; the rest is only counted.
inline constexpr size_t kCountersListedMax = 10000;
// A call that waits for room may wait this long: clients give up after a minute (TypeScript) or never (Python).
inline constexpr int64_t kDelayMillisecondsMax = 600'000;
// Conditions of one tool: every one is evaluated for every call of it. More are a problem of the file.
inline constexpr size_t kConditionsPerToolMax = 1024;
// Values of one "in": they are compared one by one. More are a problem of the file.
inline constexpr size_t kConditionValuesMax = 1024;
// Regular expressions of one file: each may use kRegexBytesMax while it matches. More are a problem of the file.
inline constexpr size_t kPolicyRegexesMax = 1000;
// Memory of one compiled regular expression, its automaton's cache included; one that needs more is a problem of the file.
inline constexpr int64_t kRegexBytesMax = int64_t{256} << 10;
// Beyond it, exponents of numbers are alike: no message has so many digits that it would matter.
inline constexpr int64_t kDecimalExponentMax = int64_t{1} << 40;
// Tools of one session whose annotations are remembered, and bytes of those of one tool. More are as if there were none.
inline constexpr size_t kAnnotatedToolsMax = 4096;
inline constexpr size_t kAnnotationsBytesMax = size_t{4} << 10;
// How long a request for approval may be open: a human may be away for a month.
inline constexpr int64_t kApprovalSecondsMax = int64_t{30} * 86400;
// Calls that wait for a human's decision: one more of a grant, of a user, or in all, is denied. A human can read so many. Every
// program of a user is another grant, so that of four users it takes all to leave no room for the others; clients on other hosts
// count as one user.
inline constexpr size_t kApprovalsPendingPerGrantMax = 16;
inline constexpr size_t kApprovalsPendingPerUserMax = 64;
inline constexpr size_t kApprovalsPendingMax = 256;
// With those that are decided, until they expire; one more makes the oldest be forgotten that is used, or is denied.
inline constexpr size_t kApprovalsKeptMax = 1024;
// Arguments that a human approves, and again the rest of their message: all of it can be shown to him, and is kept. A call
// with more is denied.
inline constexpr size_t kApprovalArgumentsBytesMax = size_t{64} << 10;
// The params that both stand in, as they are written: each byte of theirs may be an escape of six. Longer ones are not read.
inline constexpr size_t kApprovalParamsBytesMax = 7 * kApprovalArgumentsBytesMax + (size_t{16} << 10);
// Members of "_meta" that a policy ignores; more are a problem of the file.
inline constexpr size_t kIgnoredMetaMax = 64;
// What whoever decides may say to it: the model reads it.
inline constexpr size_t kApprovalReasonBytesMax = 1024;
// Grants of grants.json: each is asked about each caller, once. Parents that one names, and its labels. More are a problem of
// the file.
inline constexpr size_t kGrantsMax = 1000;
inline constexpr size_t kGrantParentsMax = 16;
inline constexpr size_t kGrantLabelsMax = 64;
// Tools whose definitions are pinned, in memory and in state.db, and the bytes of names and definitions: in all, and of one
// server; a session remembers as much. A tool that does not fit counts as changed; of such a definition the hash is kept. Of one
// definition so much is kept for people to read; its hash is that of all of it; one that is longer than kPinOrderedBytesMax is
// compared as it is written, and not by what it says. That a definition has become another changed one,
// or what it was, is written so often at most.
inline constexpr size_t kPinsMax = 100000;
inline constexpr size_t kPinBytesMax = size_t{64} << 20;
inline constexpr size_t kPinBytesPerServerMax = size_t{8} << 20;
inline constexpr size_t kPinOverheadBytes = 256;  // of each pin: hashes, times, nodes
inline constexpr size_t kPinTextBytesMax = size_t{64} << 10;
inline constexpr size_t kPinOrderedBytesMax = size_t{1} << 20;
inline constexpr int64_t kPinWriteNanoseconds = 1'000'000'000;
inline constexpr size_t kPinsListedMax = 10000;
// Calls of one session that wait, and their bytes; one more is denied at once.
inline constexpr size_t kDelayedCallsMax = 256;
inline constexpr size_t kDelayedBytesMax = size_t{1} << 20;

// --- draft ------------------------------------------------------------------------------------------------------
// Tools of one server that are drafted, pages of its list, and bytes of one answer. More is an error: such a list is no
// list of what a model may call.
inline constexpr size_t kDraftToolsMax = 10000;
inline constexpr size_t kDraftPagesMax = 1000;
inline constexpr size_t kDraftAnswerBytesMax = size_t{16} << 20;
// A recorded list.
inline constexpr size_t kDraftFileBytesMax = size_t{64} << 20;
// A description is looked at so far: what a tool does stands at its beginning.
inline constexpr size_t kToolDescriptionBytesMax = size_t{16} << 10;
// A server has so long to start (npx may have to download it), to answer everything, and then to end.
inline constexpr std::chrono::milliseconds kDraftTimeout{60'000};
inline constexpr std::chrono::milliseconds kDraftEndTimeout{2'000};

// --- kernel -----------------------------------------------------------------------------------------------------
// A thread waits in the kernel this long at most for the agent's answer. A busy host can keep a virtual processor from running
// for tens of milliseconds. Reads wait a sixteenth of it (CG_IMPATIENCE) once several in a row were not answered.
inline constexpr uint64_t kHoldNanoseconds = 100'000'000;
// A governed server that has ended stays a zombie this long at most, for the last of its output to reach the client
// first. Only a client that reads nothing makes it last: without the agent its server could not even have ended.
inline constexpr int64_t kExitNanoseconds = 1'000'000'000;

}  // namespace callgate
