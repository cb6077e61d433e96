// FollowedFile: the lines of a file that grows, as tail -F gives them: the last ones first, then each new
// one, across rotation (another file under the name) and truncation.
#pragma once
#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace callgate {

class FollowedFile {
  public:
    static Result<FollowedFile> open(const std::string& path, size_t last_lines);
    // Whole lines that came since the last call, without their LF.
    Result<std::vector<std::string>> next();

  private:
    // A line longer than the longest record is passed on in pieces.
    static constexpr size_t kLineBytesMax = size_t{4} << 20;
    explicit FollowedFile(std::string path) : path_(std::move(path)) {}
    Status open_file();
    Status seek_to_last(size_t lines);
    // False where there is nothing more for now.
    Result<bool> read_some(std::vector<std::string>& lines);
    bool is_replaced() const;

    std::string path_;
    Fd fd_;
    off_t offset_ = 0;
    std::string partial_;
};

}  // namespace callgate
