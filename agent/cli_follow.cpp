#include "cli_follow.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

namespace callgate {
namespace {

constexpr size_t kChunkBytes = size_t{64} << 10;
// Lines handed out at once, so that a long file is shown as it is read.
constexpr size_t kLinesAtOnce = 1024;

}  // namespace

Status FollowedFile::open_file() {
    Fd fd = Fd::adopt(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!fd) return Error::system("open", path_, errno);
    struct stat status;
    if (::fstat(fd.get(), &status) != 0) return Error::system("stat", path_, errno);
    if (!S_ISREG(status.st_mode)) return Error::invalid(path_, "is no regular file; name the audit file");
    fd_ = std::move(fd);
    offset_ = 0;
    partial_.clear();
    return {};
}

Result<FollowedFile> FollowedFile::open(const std::string& path, size_t last_lines) {
    FollowedFile file(path);
    TRY_VOID(file.open_file());
    TRY_VOID(file.seek_to_last(last_lines));
    return file;
}

// Reads backwards until it has passed `lines` line ends besides the one at the file's end.
Status FollowedFile::seek_to_last(size_t lines) {
    off_t end = ::lseek(fd_.get(), 0, SEEK_END);
    if (end < 0) return Error::system("lseek", path_, errno);
    offset_ = end;
    if (lines == 0) return {};
    std::string chunk;
    size_t seen = 0;
    for (off_t begin = end; begin > 0; end = begin) {
        begin = std::max<off_t>(0, begin - static_cast<off_t>(kChunkBytes));
        chunk.resize(static_cast<size_t>(end - begin));
        const ssize_t got = ::pread(fd_.get(), chunk.data(), chunk.size(), begin);
        if (got < 0) return Error::system("read", path_, errno);
        for (size_t i = static_cast<size_t>(got); i-- > 0;) {
            const off_t position = begin + static_cast<off_t>(i);
            if (chunk[i] != '\n' || position + 1 == offset_) continue;
            if (++seen == lines) {
                offset_ = position + 1;
                return {};
            }
        }
    }
    offset_ = 0;
    return {};
}

Result<bool> FollowedFile::read_some(std::vector<std::string>& lines) {
    char bytes[kChunkBytes];
    const ssize_t got = ::pread(fd_.get(), bytes, sizeof(bytes), offset_);
    if (got < 0) return Error::system("read", path_, errno);
    offset_ += got;
    std::string_view rest(bytes, static_cast<size_t>(got));
    while (!rest.empty()) {
        const size_t end = rest.find('\n');
        partial_ += rest.substr(0, end);
        const bool is_whole = end != std::string_view::npos;
        if (is_whole || partial_.size() >= kLineBytesMax) {
            lines.push_back(std::move(partial_));
            partial_.clear();
        }
        rest = is_whole ? rest.substr(end + 1) : std::string_view();
    }
    return got > 0;
}

bool FollowedFile::is_replaced() const {
    struct stat ours, named;
    if (::stat(path_.c_str(), &named) != 0 || ::fstat(fd_.get(), &ours) != 0) return false;
    return ours.st_dev != named.st_dev || ours.st_ino != named.st_ino || named.st_size < offset_;
}

Result<std::vector<std::string>> FollowedFile::next() {
    std::vector<std::string> lines;
    while (lines.size() < kLinesAtOnce) {
        // Looked at before reading: what was written to the old file before it was replaced is still read.
        const bool was_replaced = is_replaced();
        if (TRY(read_some(lines))) continue;
        if (!was_replaced) break;
        if (!partial_.empty()) lines.push_back(std::move(partial_));
        const Status opened = open_file();
        if (!opened.ok()) break;  // renamed again meanwhile: the next call finds what is there then
    }
    return lines;
}

}  // namespace callgate
