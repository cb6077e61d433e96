// Who runs: facts about a process that the kernel vouches for, and the package that its program belongs to.
//
// Nothing here is what a process says of itself on the wire. argv can be rewritten by its owner, so `command`
// is as trustworthy as the user that runs it; `exe` and `exe_sha256` are the kernel's. Node's way of rewriting it
// (process.title) is undone: original_argv.h.
//
//   node /home/u/.npm/_npx/ab12/node_modules/.bin/session-forge
//   -> exe /usr/bin/node, package session-forge 1.2.0 (npm), package_root …/node_modules/session-forge
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace callgate {

struct Package {
    std::string ecosystem;  // "npm", "jsr", "python", "go", "deb", "rpm", "program"; "" where nothing was found
    std::string name;       // as in package.json / METADATA
    std::string version;
    std::string root;  // directory holding package.json or the *.dist-info
};

struct ProcessFacts {
    pid_t pid = 0;
    pid_t parent_pid = 0;
    // Clock ticks since boot (/proc/PID/stat field 22): with pid, unique until reboot.
    uint64_t start_time = 0;
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;  // the effective one and the supplementary ones
    std::string user;           // from the password database, or the number
    std::string exe;            // readlink /proc/PID/exe
    std::string cwd;
    std::string cgroup;  // cgroup v2 path ("0::" line of /proc/PID/cgroup)
    std::vector<std::string> argv;
    std::string comm;
};

struct ServerIdentity {
    ProcessFacts process;
    std::string command;  // argv joined with one space: what "command" globs match
    Package package;
    std::string exe_sha256;            // lower-case hex; filled only by exe_sha256_of()
    std::optional<std::string> image;  // of its container, in full; filled where a policy asks for it
    // Where it listens, "127.0.0.1:3000"; filled by who saw it listen. Empty for a server on stdio.
    std::vector<std::string> listens;
};

// One step of the chain from a process to init.
struct Ancestor {
    pid_t pid = 0;
    std::string comm;
    std::string exe;
};

struct PeerIdentity {
    ProcessFacts process;
    std::vector<Ancestor> parents;  // nearest first, at most 16
};

Result<ProcessFacts> read_process(pid_t pid);
Result<ServerIdentity> identify_server(pid_t pid);
Result<PeerIdentity> identify_peer(pid_t pid);
// SHA-256 of /proc/PID/exe; remembered by (device, inode, size, mtime), bounded. ErrorKind::limit: larger than 1 GiB.
// `now_and_then` is called while a large program is being read, which takes a second for some.
Result<std::string> exe_sha256_of(pid_t pid, const std::function<void()>& now_and_then = {});

}  // namespace callgate
