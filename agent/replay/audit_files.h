// AuditFiles: the records of several audit files in the order of their time, whatever order the files are
// named in, as log rotation leaves them: audit.jsonl audit.jsonl.1 audit.jsonl.2.gz. "-" is standard input.
// Compressed or not.
//
//   AuditFiles files = TRY(AuditFiles::open({"audit.jsonl", "audit.jsonl.1"}));
//   while (std::optional<AuditRecord> record = files.next()) …
//   files.unreadable()   lines that are no records; failure(): "" or why a file could not be read to its end
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "replay/audit_record.h"

namespace callgate {

class AuditFiles {
  public:
    static Result<AuditFiles> open(const std::vector<std::string>& paths);
    AuditFiles(AuditFiles&&) noexcept;
    ~AuditFiles();

    std::optional<AuditRecord> next();
    size_t unreadable() const { return unreadable_; }
    const std::string& failure() const { return failure_; }

  private:
    struct Source;
    AuditFiles();
    void advance(Source& source);

    std::vector<std::unique_ptr<Source>> sources_;
    size_t unreadable_ = 0;
    std::string failure_;
};

}  // namespace callgate
