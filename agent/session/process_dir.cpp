#include "session/process_dir.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <climits>
#include <cstring>
#include <string_view>

namespace callgate {
namespace {

constexpr size_t kStatBytesMax = 4096;
constexpr size_t kAuxvBytesMax = 4096;
constexpr size_t kFirstRead = 4096;  // most files fit; longer ones take a second read

}  // namespace

Error ProcessDir::error(const char* call, const char* name, int code) const {
    std::string object = "/proc/" + std::to_string(pid_) + (*name != '\0' ? "/" : "") + name;
    if (code == ENOENT || code == ESRCH) {
        return Error{ErrorKind::gone, 0, std::string(call) + " " + object, "the process has ended"};
    }
    return Error::system(call, std::move(object), code);
}

Result<ProcessDir> ProcessDir::open(pid_t pid) {
    const std::string path = "/proc/" + std::to_string(pid);
    ProcessDir dir(pid, Fd::adopt(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
    if (!dir.fd_) return dir.error("open", "", errno);
    return dir;
}

Result<std::string> ProcessDir::read(const char* name, size_t bytes_max) const {
    Fd fd = Fd::adopt(::openat(fd_.get(), name, O_RDONLY | O_CLOEXEC));
    if (!fd) return error("open", name, errno);
    std::string text(std::min(kFirstRead, bytes_max), '\0');
    size_t filled = 0;
    while (true) {
        ssize_t got = ::read(fd.get(), text.data() + filled, text.size() - filled);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return error("read", name, errno);
        filled += static_cast<size_t>(got);
        if (got == 0 || filled == bytes_max) break;
        if (filled == text.size()) text.resize(std::min(bytes_max, text.size() * 4));
    }
    text.resize(filled);
    return text;
}

std::string ProcessDir::link(const char* name) const {
    char text[PATH_MAX];
    ssize_t length = ::readlinkat(fd_.get(), name, text, sizeof(text));
    return length > 0 ? std::string(text, static_cast<size_t>(length)) : std::string();
}

Result<ProcessStat> ProcessDir::stat() const {
    std::string text = TRY(read("stat", kStatBytesMax));
    if (text.empty()) return error("read", "stat", ESRCH);
    return parse_stat(text);
}

std::string ProcessDir::root_link() const { return "/proc/" + std::to_string(pid_) + "/root"; }

std::string ProcessDir::memory(uint64_t address, size_t bytes_max) const {
    Fd fd = Fd::adopt(::openat(fd_.get(), "mem", O_RDONLY | O_CLOEXEC));
    std::string bytes(fd ? bytes_max : 0, '\0');
    size_t filled = 0;
    while (filled < bytes.size()) {
        const ssize_t got = ::pread(fd.get(), bytes.data() + filled, bytes.size() - filled, static_cast<off_t>(address + filled));
        if (got <= 0) break;
        filled += static_cast<size_t>(got);
    }
    bytes.resize(filled);
    return bytes;
}

std::string ProcessDir::exec_pathname() const {
    Result<std::string> auxv = read("auxv", kAuxvBytesMax);
    if (!auxv.ok()) return {};
    for (size_t at = 0; at + sizeof(Elf64_auxv_t) <= auxv->size(); at += sizeof(Elf64_auxv_t)) {
        Elf64_auxv_t entry;
        memcpy(&entry, auxv->data() + at, sizeof(entry));
        if (entry.a_type != AT_EXECFN) continue;
        char text[PATH_MAX];
        iovec local = {text, sizeof(text)};
        // The string lies at the very top of the stack; what is behind it may be unmapped.
        const size_t to_page_end = PATH_MAX - entry.a_un.a_val % PATH_MAX;
        iovec remote[2] = {{reinterpret_cast<void*>(entry.a_un.a_val), to_page_end},
                           {reinterpret_cast<void*>(entry.a_un.a_val + to_page_end), sizeof(text) - to_page_end}};
        ssize_t got = ::process_vm_readv(pid_, &local, 1, remote, remote[1].iov_len > 0 ? 2 : 1, 0);
        if (got <= 0) return {};
        return std::string(text, strnlen(text, static_cast<size_t>(got)));
    }
    return {};
}

// "4711 (name with ) and spaces) S 1 …": the name ends at the last parenthesis.
Result<ProcessStat> parse_stat(const std::string& text) {
    const Error malformed = Error::invalid("/proc/PID/stat", "not of the known form: \"" + text.substr(0, 80) + "\"");
    const size_t open = text.find('(');
    const size_t close = text.rfind(')');
    if (open == std::string::npos || close == std::string::npos || close + 2 >= text.size()) return malformed;
    ProcessStat stat;
    stat.comm = text.substr(open + 1, close - open - 1);
    stat.state = text[close + 2];
    constexpr int kParent = 4;
    constexpr int kStart = 22;
    constexpr int kArgumentsBegin = 48;
    constexpr int kArgumentsEnd = 49;
    uint64_t arguments_begin = 0;
    std::string_view rest = std::string_view(text).substr(close + 2);
    for (int field = 3; field <= kArgumentsEnd; ++field) {
        const size_t space = rest.find(' ');
        const std::string_view word = rest.substr(0, space);
        uint64_t number = 0;
        if (field == kParent || field == kStart || field >= kArgumentsBegin) {
            if (std::from_chars(word.data(), word.data() + word.size(), number).ec != std::errc()) return malformed;
            if (field == kParent) stat.parent_pid = static_cast<pid_t>(number);
            if (field == kStart) stat.start_time = number;
            if (field == kArgumentsBegin) arguments_begin = number;
            if (field == kArgumentsEnd) stat.argv_bytes = number - arguments_begin;
        }
        if (space == std::string_view::npos) {
            if (field < kStart) return malformed;
            break;
        }
        rest = rest.substr(space + 1);
    }
    return stat;
}

}  // namespace callgate
