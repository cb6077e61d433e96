#include "audit/audit_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/directory.h"

namespace callgate {

Result<AuditFile> AuditFile::open(const std::string& path) {
    AuditFile file(path);
    TRY_VOID(file.open_file());
    return file;
}

Status AuditFile::check(const std::string& path) {
    struct stat status;
    if (!::lstat(path.c_str(), &status)) return AuditFile(path).open_file();
    if (errno != ENOENT) return Error::system("open", path, errno);
    if (::access(directory_of(path).c_str(), W_OK | X_OK) && errno != ENOENT) return Error::system("open", path, errno);
    return {};
}

Status AuditFile::open_file() {
    fd_.reset();
    // Readable too: whether the last line was ended must be looked up. Non-blocking: a FIFO must not stop the
    // start.
    constexpr int kFlags = O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    Fd fd = Fd::adopt(::open(path_.c_str(), kFlags, 0600));
    if (!fd && errno == ELOOP) return Error::refused(path_, "is a symlink; name the audit file itself");
    if (!fd && errno == EISDIR) return Error::refused(path_, "is a directory; name a file for the audit log");
    struct stat status;
    if (!fd || ::fstat(fd.get(), &status) != 0) return Error::system("open", path_, errno);
    cut_.clear();
    if (S_ISREG(status.st_mode)) {
        if ((status.st_mode & 022) != 0 || (status.st_uid != 0 && status.st_uid != ::geteuid())) {
            return Error::refused(path_,
                                  "others can write this audit file; make it the agent's own with mode 0600, "
                                  "or choose another path");
        }
    } else if (!S_ISCHR(status.st_mode)) {
        return Error::refused(path_, "is neither a file nor a character device; choose another audit path");
    }
    fd_ = std::move(fd);
    if (S_ISREG(status.st_mode)) cut_ = last_line(status.st_size);
    return {};
}

// What stands behind the last line feed. A longer line than any record is ended as it is, whatever its beginning.
std::string AuditFile::last_line(off_t size) const {
    constexpr off_t kLongest = off_t{1} << 20;
    std::string end(static_cast<size_t>(std::min(size, kLongest)), '\0');
    const ssize_t got = ::pread(fd_.get(), end.data(), end.size(), size - static_cast<off_t>(end.size()));
    end.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return end.substr(end.rfind('\n') + 1);
}

// At once: whoever has rotated the file waits for the new one. Where it fails append() tries again, and says why.
void AuditFile::reopen() {
    (void)open_file();
    retry_after_ns_ = 0;
}

size_t AuditFile::write_all(std::string_view bytes) {
    size_t written = 0;
    while (written < bytes.size()) {
        const ssize_t got = ::write(fd_.get(), bytes.data() + written, bytes.size() - written);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            failure_ = Error::system("write", path_, got < 0 ? errno : EIO).text();
            break;
        }
        written += static_cast<size_t>(got);
    }
    return written;
}

// `lines` as they follow the cut line: its rest first, where it is among them. Those before it may be in the file already.
std::string AuditFile::behind_cut_line(std::string_view lines) const {
    for (size_t begin = 0; begin < lines.size();) {
        const size_t end = std::min(lines.find('\n', begin), lines.size() - 1) + 1;
        if (lines.substr(begin, end - begin).starts_with(cut_)) {
            std::string text(lines.substr(begin + cut_.size(), end - begin - cut_.size()));
            return text.append(lines.substr(0, begin)).append(lines.substr(end));
        }
        begin = end;
    }
    return "\n" + std::string(lines);
}

size_t AuditFile::append(std::string_view lines, int64_t now_ns) {
    if (!fd_) {
        if (now_ns < retry_after_ns_) return 0;
        const Status opened = open_file();
        if (!opened.ok()) failure_ = opened.error().text();
    }
    size_t written = 0;
    if (fd_ && cut_.empty()) {
        written = write_all(lines);
    } else if (fd_) {
        const std::string text = behind_cut_line(lines);
        if (write_all(text) == text.size()) written = lines.size();
        cut_.clear();
    }
    if (written == lines.size()) {
        failure_.clear();
    } else {
        fd_.reset();
        retry_after_ns_ = now_ns + kRetryNanoseconds;
    }
    return written;
}

}  // namespace callgate
