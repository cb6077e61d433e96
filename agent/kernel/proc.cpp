#include "kernel/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <sstream>

namespace callgate {
namespace {

// Calls `each` with every numeric name in a /proc directory, and with the directory and the name as it stands there.
template <typename Each>
bool for_each_entry(const std::string& directory, Each each) {
    DIR* listing = opendir(directory.c_str());
    if (!listing) return false;
    while (const dirent* entry = readdir(listing)) {
        int number = 0;
        const char* end = entry->d_name + strlen(entry->d_name);
        auto [rest, error] = std::from_chars(entry->d_name, end, number);
        if (error == std::errc() && rest == end) each(number, dirfd(listing), entry->d_name);
    }
    closedir(listing);
    return true;
}

template <typename Each>
bool for_each_number(const std::string& directory, Each each) {
    return for_each_entry(directory, [&](int number, int, const char*) { each(number); });
}

std::string numbered(pid_t pid, const char* directory, int number) {
    return "/proc/" + std::to_string(pid) + "/" + directory + "/" + std::to_string(number);
}

// `path` is relative to `directory`, or absolute.
ProcessDescriptor channel_at(int directory, const char* path, int fd) {
    ProcessDescriptor found;
    found.number = fd;
    struct stat status;
    if (fstatat(directory, path, &status, 0)) return found;
    if (S_ISFIFO(status.st_mode)) found.kind = ChannelKind::pipe;
    if (S_ISSOCK(status.st_mode)) found.kind = ChannelKind::unix_socket;
    found.channel.inode = status.st_ino;
    // the kernel's own encoding: twelve bits major, twenty bits minor
    found.channel.device = (major(status.st_dev) << 20) | minor(status.st_dev);
    return found;
}

int parse_flags(const std::string& fdinfo) {
    size_t at = fdinfo.find("flags:");
    if (at == std::string::npos) return 0;
    return static_cast<int>(strtol(fdinfo.c_str() + at + 6, nullptr, 8));
}

// "tfd:        0 events:       19 data:     7f0  pos:0 ino:1b3 sdev:8"
void parse_registrations(const std::string& fdinfo, int epoll, std::vector<EpollRegistration>& out) {
    for (size_t at = fdinfo.find("tfd:"); at != std::string::npos; at = fdinfo.find("tfd:", at + 4)) {
        EpollRegistration found;
        found.epoll = epoll;
        unsigned long long data = 0, inode = 0;
        unsigned events = 0;
        long long position = 0;
        if (sscanf(fdinfo.c_str() + at, "tfd: %d events: %x data: %llx pos:%lli ino:%llx", &found.target, &events, &data,
                   &position, &inode) != 5)
            continue;
        found.events = events;
        found.data = data;
        found.inode = inode;
        out.push_back(found);
    }
}

}  // namespace

std::string proc_path(pid_t pid, const char* leaf) { return "/proc/" + std::to_string(pid) + "/" + leaf; }

Result<std::string> read_small_file(const std::string& path, size_t bytes_max) {
    Fd fd = Fd::adopt(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return Error::system("open", path, errno);
    std::string text;
    size_t filled = 0;
    while (filled < bytes_max) {
        text.resize(std::min(bytes_max, filled + 4096));
        ssize_t got = read(fd.get(), text.data() + filled, text.size() - filled);
        if (got < 0) return Error::system("read", path, errno);
        if (got == 0) break;
        filled += got;
    }
    text.resize(filled);
    return text;
}

ProcessDescriptor channel_of(pid_t pid, int fd) { return channel_at(AT_FDCWD, numbered(pid, "fd", fd).c_str(), fd); }

std::vector<ProcessDescriptor> all_channels(pid_t pid) {
    std::vector<ProcessDescriptor> found;
    for_each_number(proc_path(pid, "fd"), [&](int number) {
        ProcessDescriptor descriptor = channel_of(pid, number);
        if (descriptor.kind == ChannelKind::none) return;
        auto info = read_small_file(numbered(pid, "fdinfo", number), 4096);
        if (info) descriptor.status_flags = parse_flags(*info);
        found.push_back(descriptor);
    });
    return found;
}

Result<ProcessDescriptors> find_descriptors(pid_t pid, const cg_channel_key& first, const cg_channel_key& second) {
    ProcessDescriptors found;
    std::vector<int> epolls;
    bool listed = for_each_entry(proc_path(pid, "fd"), [&](int number, int directory, const char* name) {
        char target[64];
        ssize_t length = readlinkat(directory, name, target, sizeof(target) - 1);
        if (length <= 0) return;
        target[length] = 0;
        if (!strcmp(target, "anon_inode:[eventpoll]")) epolls.push_back(number);
        if (strncmp(target, "pipe:[", 6) && strncmp(target, "socket:[", 8)) return;
        uint64_t inode = strtoull(strchr(target, '[') + 1, nullptr, 10);
        if (inode != first.inode && inode != second.inode) return;
        ProcessDescriptor descriptor = channel_at(directory, name, number);
        if (!(descriptor.channel == first) && !(descriptor.channel == second)) return;
        auto info = read_small_file(numbered(pid, "fdinfo", number), 4096);
        if (info) descriptor.status_flags = parse_flags(*info);
        found.channels.push_back(descriptor);
    });
    if (!listed) return Error::system("list", proc_path(pid, "fd"), errno);
    std::vector<EpollRegistration> all;
    for (int epoll : epolls) {
        auto info = read_small_file(numbered(pid, "fdinfo", epoll), size_t{1} << 20);
        if (info) parse_registrations(*info, epoll, all);
    }
    for (const EpollRegistration& registration : all)
        for (const ProcessDescriptor& descriptor : found.channels)
            if (registration.inode == descriptor.channel.inode && registration.target == descriptor.number)
                found.registrations.push_back(registration);
    return found;
}

Result<ProcessStatus> ProcessStatus::read(pid_t pid) {
    ProcessStatus status;
    status.text_ = TRY(read_small_file(proc_path(pid, "status")));
    return status;
}

const char* ProcessStatus::find(const char* field) const {
    size_t at = text_.find("\n" + std::string(field) + ":");
    return at == std::string::npos ? nullptr : text_.c_str() + at + strlen(field) + 2;
}

long ProcessStatus::value(const char* field) const {
    const char* text = find(field);
    return text ? strtol(text, nullptr, 10) : 0;
}

uint64_t ProcessStatus::mask(const char* field) const {
    const char* text = find(field);
    return text ? strtoull(text, nullptr, 16) : 0;
}

long status_value(pid_t pid, const char* field) {
    auto status = ProcessStatus::read(pid);
    return status ? status->value(field) : 0;
}

std::vector<pid_t> threads_of(pid_t pid) {
    std::vector<pid_t> threads;
    for_each_number(proc_path(pid, "task"), [&](int tid) { threads.push_back(tid); });
    return threads;
}

std::vector<pid_t> all_processes() {
    std::vector<pid_t> processes;
    for_each_number("/proc", [&](int pid) { processes.push_back(pid); });
    return processes;
}

std::vector<pid_t> children_of(pid_t pid) {
    std::vector<pid_t> children;
    for (pid_t tid : threads_of(pid)) {
        auto text = read_small_file(proc_path(pid, ("task/" + std::to_string(tid) + "/children").c_str()));
        std::istringstream numbers(text ? *text : std::string());
        for (pid_t child; numbers >> child;) children.push_back(child);
    }
    return children;
}

pid_t parent_of(pid_t pid) { return static_cast<pid_t>(status_value(pid, "PPid")); }

BlockedSyscall blocked_syscall(pid_t pid, pid_t tid) {
    BlockedSyscall blocked;
    auto text = read_small_file(numbered(pid, "task", tid) + "/syscall", 512);
    if (!text) return blocked;
    unsigned long long a[6] = {};
    long number = -1;
    if (sscanf(text->c_str(), "%ld %llx %llx %llx %llx %llx %llx", &number, a, a + 1, a + 2, a + 3, a + 4, a + 5) < 1)
        return blocked;
    blocked.number = number;
    for (int i = 0; i < 6; ++i) blocked.arguments[i] = a[i];
    return blocked;
}

// "PollList:\n  op=22, task_works=0" in the ring's fdinfo.
bool reads_through_ring(pid_t pid) {
    constexpr int kReads[] = {IORING_OP_READV,
                              IORING_OP_READ_FIXED,
                              IORING_OP_RECVMSG,
                              IORING_OP_READ,
                              IORING_OP_RECV,
                              IORING_OP_SPLICE,
                              49 /* READ_MULTISHOT, 6.7 */};
    bool found = false;
    for_each_number(proc_path(pid, "fd"), [&](int number) {
        char target[64];
        ssize_t length = readlink(numbered(pid, "fd", number).c_str(), target, sizeof(target));
        if (found || std::string_view(target, std::max<ssize_t>(length, 0)) != "anon_inode:[io_uring]") return;
        auto info = read_small_file(numbered(pid, "fdinfo", number), size_t{1} << 20);
        if (!info) return;
        for (size_t at = info->find(" op="); at != std::string::npos && !found; at = info->find(" op=", at + 1))
            found = std::count(std::begin(kReads), std::end(kReads), atoi(info->c_str() + at + 4)) != 0;
    });
    return found;
}

Result<Fd> open_pidfd(pid_t pid) {
    Fd fd = Fd::adopt(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (!fd) return Error::system("pidfd_open", std::to_string(pid), errno);
    return fd;
}

Result<Fd> fetch_descriptor(const Fd& pidfd, int number) {
    Fd fd = Fd::adopt(static_cast<int>(syscall(SYS_pidfd_getfd, pidfd.get(), number, 0)));
    if (!fd) return Error::system("pidfd_getfd", std::to_string(number), errno);
    return fd;
}

}  // namespace callgate
