// What /proc and the descriptors of another process say (proc(5)). No state; every call asks the kernel anew.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "wire.h"

// Global like the type itself, so that argument-dependent look-up finds it.
inline bool operator==(const cg_channel_key& a, const cg_channel_key& b) { return a.inode == b.inode && a.device == b.device; }

namespace callgate {

struct ChannelKeyHash {
    size_t operator()(const cg_channel_key& key) const { return key.inode * 0x9e3779b97f4a7c15ull ^ key.device; }
};

enum class ChannelKind : uint32_t { none = CG_KIND_NONE, pipe = CG_KIND_PIPE, unix_socket = CG_KIND_UNIX };

// One descriptor of a process that refers to a pipe or a socket.
struct ProcessDescriptor {
    int number = -1;
    ChannelKind kind = ChannelKind::none;
    cg_channel_key channel{};
    int status_flags = 0;  // O_ACCMODE, O_NONBLOCK, … of the open file description, O_CLOEXEC of the descriptor
};

// One entry of an epoll instance, as /proc/PID/fdinfo shows it.
struct EpollRegistration {
    int epoll = -1;   // descriptor of the epoll instance
    int target = -1;  // descriptor number it was registered under
    uint32_t events = 0;
    uint64_t data = 0;
    uint64_t inode = 0;
};

struct ProcessDescriptors {
    std::vector<ProcessDescriptor> channels;       // pipes and sockets that are one of the asked-for channels
    std::vector<EpollRegistration> registrations;  // of those channels
};

std::string proc_path(pid_t pid, const char* leaf);
Result<std::string> read_small_file(const std::string& path, size_t bytes_max = 1 << 16);

// The channel behind one descriptor; kind none where it is neither a pipe nor a socket.
ProcessDescriptor channel_of(pid_t pid, int fd);
// Every pipe and socket of a process.
std::vector<ProcessDescriptor> all_channels(pid_t pid);
// Every descriptor of `pid` that refers to `first` or `second`, and what epoll knows of them.
Result<ProcessDescriptors> find_descriptors(pid_t pid, const cg_channel_key& first, const cg_channel_key& second);

// Lines of /proc/PID/status, read together: making that file is what costs.
class ProcessStatus {
  public:
    static Result<ProcessStatus> read(pid_t pid);
    // A number, such as of "TracerPid"; 0 where absent.
    long value(const char* field) const;
    // A set of signals, such as of "SigCgt"; bit n - 1 is signal n.
    uint64_t mask(const char* field) const;

  private:
    const char* find(const char* field) const;
    std::string text_;
};
// One value; 0 where absent, or where there is no such process.
long status_value(pid_t pid, const char* field);
std::vector<pid_t> threads_of(pid_t pid);
std::vector<pid_t> all_processes();
pid_t parent_of(pid_t pid);
// Of whichever thread (/proc/PID/task/TID/children, which needs CONFIG_PROC_CHILDREN); those whose parent has ended belong to
// another one.
std::vector<pid_t> children_of(pid_t pid);

// The system call that a sleeping thread is in (/proc/PID/task/TID/syscall); number -1 where it is running.
struct BlockedSyscall {
    long number = -1;
    uint64_t arguments[6]{};
};
BlockedSyscall blocked_syscall(pid_t pid, pid_t tid);

// Some io_uring of the process waits for something to be read: of which file cannot be told.
bool reads_through_ring(pid_t pid);

// pidfd_open(2), pidfd_getfd(2).
Result<Fd> open_pidfd(pid_t pid);
Result<Fd> fetch_descriptor(const Fd& pidfd, int number);

}  // namespace callgate
