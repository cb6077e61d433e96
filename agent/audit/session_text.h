// AuditSession: what does not change during a session, as the JSON it becomes in every record of it.
#pragma once
#include <string>

#include "audit/record.h"

namespace callgate {

class AuditSession {
  public:
    explicit AuditSession(const SessionFacts& facts);
    // `,"session":"…","transport":"…"`
    const std::string& name_members() const { return name_members_; }
    // `,"server":{…},"peer":{…},"grant":"…","policy":"…","policy_revision":"…","mode":"…"`
    const std::string& fact_members() const { return fact_members_; }

  private:
    std::string name_members_;
    std::string fact_members_;
};

}  // namespace callgate
