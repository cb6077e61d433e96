#include "replay/audit_files.h"

#include <zlib.h>

#include <cerrno>

#include "base/limits.h"

namespace callgate {
namespace {

struct CloseGz {
    void operator()(gzFile file) const { gzclose_r(file); }
};

}  // namespace

struct AuditFiles::Source {
    std::string path;
    std::unique_ptr<gzFile_s, CloseGz> file;  // reads what is not compressed as it is
    std::string read;                         // of the next lines
    size_t at = 0;
    bool is_over = false, skips = false;  // skips: inside a line that is too long
    std::optional<AuditRecord> record;    // the next one

    // False at the end.
    bool next_line(std::string& line, size_t& too_long, std::string& failure) {
        while (true) {
            if (const size_t end = read.find('\n', at); end != std::string::npos) {
                line.assign(read, at, end - at);
                at = end + 1;
                if (!std::exchange(skips, false)) return true;
                continue;
            }
            read.erase(0, at);
            at = 0;
            if (read.size() > kAuditLineBytesMax) {
                if (!skips) ++too_long;
                skips = true;
                read.clear();
            }
            if (is_over) {
                line = std::exchange(read, {});
                return !line.empty() && !skips;
            }
            char bytes[kReadBytes];
            const int got = gzread(file.get(), bytes, sizeof(bytes));
            if (got > 0) read.append(bytes, static_cast<size_t>(got));
            if (got == static_cast<int>(sizeof(bytes))) continue;
            int code = Z_OK;
            const char* problem = gzerror(file.get(), &code);
            if (code != Z_OK && code != Z_STREAM_END && failure.empty()) failure = path + ": " + problem;
            is_over = got <= 0 || code != Z_OK;
        }
    }
};

AuditFiles::AuditFiles() = default;
AuditFiles::AuditFiles(AuditFiles&&) noexcept = default;
AuditFiles::~AuditFiles() = default;

Result<AuditFiles> AuditFiles::open(const std::vector<std::string>& paths) {
    AuditFiles files;
    for (const std::string& path : paths) {
        auto source = std::make_unique<Source>();
        source->path = path == "-" ? "standard input" : path;
        errno = 0;
        source->file.reset(gzopen(path == "-" ? "/dev/stdin" : path.c_str(), "rbe"));
        if (!source->file) return Error::system("open", path, errno != 0 ? errno : ENOMEM);
        files.advance(*source);
        if (!files.failure_.empty()) return Error::invalid("read", files.failure_);
        files.sources_.push_back(std::move(source));
    }
    return files;
}

void AuditFiles::advance(Source& source) {
    source.record.reset();
    for (std::string line; source.next_line(line, unreadable_, failure_);) {
        source.record = parse_audit_record(line);
        if (source.record) return;
        if (line.find_first_not_of(" \t\r") != std::string::npos) ++unreadable_;
    }
}

std::optional<AuditRecord> AuditFiles::next() {
    Source* first = nullptr;
    for (const auto& source : sources_) {
        if (source->record && (first == nullptr || source->record->time_ns < first->record->time_ns)) first = source.get();
    }
    if (first == nullptr) return std::nullopt;
    std::optional<AuditRecord> record = std::move(first->record);
    advance(*first);
    return record;
}

}  // namespace callgate
