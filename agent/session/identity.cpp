#include "session/identity.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "session/original_argv.h"
#include "session/package.h"
#include "session/process_dir.h"
#include "session/program.h"
#include "session/root_fs.h"
#include "session/users.h"

namespace callgate {
namespace {

// Linux allows megabytes of arguments; what lies beyond names no program.
constexpr size_t kCommandLineBytesMax = size_t{128} << 10;
// A process may have 65536 groups; those beyond the first thousands grant nothing.
constexpr size_t kStatusBytesMax = size_t{64} << 10;
constexpr size_t kCgroupBytesMax = size_t{64} << 10;
constexpr size_t kAncestorsMax = 16;

std::vector<std::string> split_argv(const std::string& text) {
    std::vector<std::string> argv;
    size_t begin = 0;
    while (begin < text.size()) {
        size_t end = text.find('\0', begin);
        if (end == std::string::npos) end = text.size();
        argv.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return argv;
}

// "Uid:\t1000\t1000\t1000\t1000": real, effective, saved, file system. The effective one is who the process
// acts as.
uid_t effective_id(const std::string& status, const char* label) {
    const size_t at = status.find(label);
    if (at == std::string::npos) return static_cast<uid_t>(-1);
    char* end = nullptr;
    strtoul(status.c_str() + at + std::string_view(label).size(), &end, 10);
    return static_cast<uid_t>(strtoul(end, nullptr, 10));
}

// "Groups:\t4 27 1000 ": supplementary groups.
std::vector<gid_t> groups_of(const std::string& status, gid_t effective) {
    std::vector<gid_t> groups = {effective};
    constexpr std::string_view kLabel = "\nGroups:";
    const size_t at = status.find(kLabel);
    if (at == std::string::npos) return groups;
    std::string_view line = std::string_view(status).substr(at + kLabel.size());
    line = line.substr(0, line.find('\n'));
    while (!line.empty()) {
        gid_t group = 0;
        const auto [rest, error] = std::from_chars(line.data(), line.data() + line.size(), group);
        if (error == std::errc()) groups.push_back(group);
        line.remove_prefix(error == std::errc() ? static_cast<size_t>(rest - line.data()) : 1);
    }
    return groups;
}

std::string cgroup_v2_path(const std::string& text) {
    const size_t at = text.starts_with("0::") ? 0 : text.find("\n0::");
    if (at == std::string::npos) return {};
    const size_t begin = text.find("::", at) + 2;
    return text.substr(begin, text.find('\n', begin) - begin);
}

Result<ProcessFacts> read_facts(const ProcessDir& dir, pid_t pid) {
    ProcessFacts facts;
    const ProcessStat stat = TRY(dir.stat());
    if (stat.state == 'Z' || stat.state == 'X') {
        return Error{ErrorKind::gone, 0, "read /proc/" + std::to_string(pid) + "/stat", "the process has ended"};
    }
    facts.pid = pid;
    facts.parent_pid = stat.parent_pid;
    facts.start_time = stat.start_time;
    facts.comm = stat.comm;
    const std::string status = TRY(dir.read("status", kStatusBytesMax));
    facts.uid = effective_id(status, "\nUid:");
    facts.gid = effective_id(status, "\nGid:");
    facts.groups = groups_of(status, facts.gid);
    facts.user = user_name(facts.uid);
    facts.cgroup = cgroup_v2_path(TRY(dir.read("cgroup", kCgroupBytesMax)));
    facts.argv = split_argv(TRY(dir.read("cmdline", kCommandLineBytesMax)));
    facts.exe = dir.link("exe");
    facts.cwd = dir.link("cwd");
    return facts;
}

// A title takes the place of the first argument, and the rest is emptied. (Other runtimes leave the command line alone.)
bool may_be_overwritten(const ProcessFacts& facts) {
    const auto& argv = facts.argv;
    return runtime_of(facts.exe) == Runtime::node &&
           std::all_of(argv.begin() + (argv.empty() ? 0 : 1), argv.end(), [](const auto& word) { return word.empty(); });
}

std::string join(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) {
        if (!text.empty()) text += ' ';
        text += word;
    }
    return text;
}

}  // namespace

Result<ProcessFacts> read_process(pid_t pid) {
    const ProcessDir dir = TRY(ProcessDir::open(pid));
    return read_facts(dir, pid);
}

Result<ServerIdentity> identify_server(pid_t pid) {
    const ProcessDir dir = TRY(ProcessDir::open(pid));
    ServerIdentity server;
    server.process = TRY(read_facts(dir, pid));
    if (may_be_overwritten(server.process)) {
        std::vector<std::string> argv = original_argv(dir);
        if (!argv.empty()) server.process.argv = std::move(argv);
    }
    server.command = join(server.process.argv);

    const std::string root = dir.root_link();
    std::vector<std::string> argv = server.process.argv;
    // "python -m x" found through PATH: only the kernel's record of the exec says in which virtual
    // environment.
    if (!argv.empty() && argv[0].find('/') == std::string::npos && runtime_of(server.process.exe) == Runtime::python) {
        std::string pathname = dir.exec_pathname();
        if (!pathname.empty()) argv[0] = std::move(pathname);
    }
    std::string prefix = dir.link("root");
    if (prefix == "/") prefix.clear();
    auto inside = [&prefix](const std::string& path) {
        const bool is_below = path.starts_with(prefix) && path.size() > prefix.size() && path[prefix.size()] == '/';
        return is_below ? path.substr(prefix.size()) : path;
    };
    server.package = resolve_package(root, inside(server.process.exe), argv, inside(server.process.cwd));
    return server;
}

Result<PeerIdentity> identify_peer(pid_t pid) {
    PeerIdentity peer;
    peer.process = TRY(read_process(pid));
    pid_t next = peer.process.parent_pid;
    while (next > 0 && peer.parents.size() < kAncestorsMax) {
        Result<ProcessDir> dir = ProcessDir::open(next);
        if (!dir.ok()) break;  // it ended meanwhile: the chain stops being known here
        Result<ProcessStat> stat = dir->stat();
        if (!stat.ok()) break;
        peer.parents.push_back(Ancestor{next, stat->comm, dir->link("exe")});
        next = stat->parent_pid;
    }
    return peer;
}

}  // namespace callgate
