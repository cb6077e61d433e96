#include "session/process_dir.h"

#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstring>
#include <string_view>

namespace callgate {
namespace {

constexpr size_t kStatBytesMax = 4096;
constexpr size_t kAuxvBytesMax = 4096;
constexpr size_t kMapsBytesMax = size_t{1} << 20;
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

std::optional<Mapping> ProcessDir::find_mapping(const std::function<bool(const Mapping&)>& wanted) const {
    Result<std::string> maps = read("maps", kMapsBytesMax);
    std::string_view rest = maps.ok() ? std::string_view(*maps) : std::string_view();
    for (size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
        std::string_view line = rest.substr(0, end);
        const auto next_word = [&line] {
            line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
            const std::string_view word = line.substr(0, line.find(' '));
            line.remove_prefix(word.size());
            return word;
        };
        Mapping mapping;
        const std::string_view range = next_word();
        const size_t dash = range.find('-');
        if (dash == std::string_view::npos) continue;
        std::from_chars(range.data(), range.data() + dash, mapping.begin, 16);
        std::from_chars(range.data() + dash + 1, range.data() + range.size(), mapping.end, 16);
        next_word();  // what it may be used for
        next_word();  // where in the file
        const std::string_view device = next_word(), inode = next_word();
        mapping.has_file = device != "00:00" || inode != "0";
        mapping.name = line.substr(std::min(line.find_first_not_of(' '), line.size()));
        if (!wanted(mapping)) continue;
        mapping.name = {};
        return mapping;
    }
    return std::nullopt;
}

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
        const uint64_t address = entry.a_un.a_val;
        // The string lies at the very top of the stack.
        const auto stack =
            find_mapping([&](const Mapping& each) { return !each.has_file && each.begin <= address && address < each.end; });
        if (!stack) return {};
        const std::string text = memory(address, std::min<uint64_t>(PATH_MAX, stack->end - address));
        return text.substr(0, text.find('\0'));
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
