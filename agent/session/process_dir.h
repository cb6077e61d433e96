// ProcessDir: /proc/PID held open, so that every read is about one and the same process even if the number is
// reused.
//
//   ProcessDir dir = TRY(ProcessDir::open(4711));   // ErrorKind::gone where there is no such process
//   std::string stat = TRY(dir.read("stat", 4096));
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace callgate {

// The fields of /proc/PID/stat that identity needs.
struct ProcessStat {
    std::string comm;
    char state = 0;
    pid_t parent_pid = 0;
    uint64_t start_time = 0;
    uint64_t argv_bytes = 0;  // length of the command line; 0 where it is not ours to know
};

// "55d0c8a5b000-55d0c8c41000 rw-p 00000000 00:00 0     [heap]"
struct Mapping {
    uint64_t begin = 0, end = 0;
    bool has_file = false;  // whose owner may never answer a read, and may call it "[heap]"
    std::string_view name;  // valid during the call
};

class ProcessDir {
  public:
    static Result<ProcessDir> open(pid_t pid);

    // At most `bytes_max` bytes of a file; what lies beyond is left unread.
    Result<std::string> read(const char* name, size_t bytes_max) const;
    // Target of a link as the kernel prints it; empty where the process has none or it is not ours to see.
    std::string link(const char* name) const;
    Result<ProcessStat> stat() const;
    // The link /proc/PID/root itself, to be opened.
    std::string root_link() const;
    // The first that is wanted, of those in the first mebibyte of their list.
    std::optional<Mapping> find_mapping(const std::function<bool(const Mapping&)>& wanted) const;
    // What can be read from `address` on.
    std::string memory(uint64_t address, size_t bytes_max) const;
    // The pathname the program was executed by (AT_EXECFN); empty where it cannot be read.
    std::string exec_pathname() const;

  private:
    ProcessDir(pid_t pid, Fd fd) : pid_(pid), fd_(std::move(fd)) {}
    Error error(const char* call, const char* name, int code) const;
    pid_t pid_;
    Fd fd_;
};

Result<ProcessStat> parse_stat(const std::string& text);

}  // namespace callgate
