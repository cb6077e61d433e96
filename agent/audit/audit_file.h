// AuditFile: appends whole lines to a file and survives a full disk.
//
// A write that fails closes the file; append() opens it again, at most once in kRetryNanoseconds. A line that was cut short,
// as by the end of the process that wrote it, gets its rest where that is among the first lines that are appended; otherwise
// it is ended before the next one, so that every later line is whole.
#pragma once
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace callgate {

class AuditFile {
  public:
    static constexpr int64_t kRetryNanoseconds = 1'000'000'000;

    // Created 0600. Refused: symlinks, what is neither a file nor a device, and files that others can write.
    static Result<AuditFile> open(const std::string& path);
    // What open() would say, but that none is made. In a directory that is absent nothing is wrong yet.
    static Status check(const std::string& path);

    // Bytes written, from the beginning of `lines`; fewer than all of them where something failed: see
    // failure().
    size_t append(std::string_view lines, int64_t now_ns);
    // Opens the path again, and makes the file where it is absent.
    void reopen();
    // Why the last append() did not write everything; empty after one that did.
    const std::string& failure() const { return failure_; }

  private:
    explicit AuditFile(std::string path) : path_(std::move(path)) {}
    Status open_file();
    std::string last_line(off_t size) const;
    size_t write_all(std::string_view bytes);
    std::string behind_cut_line(std::string_view lines) const;
    std::string path_;
    Fd fd_;
    std::string cut_;  // the last line of the file, where it was not ended
    int64_t retry_after_ns_ = 0;
    std::string failure_;
};

}  // namespace callgate
