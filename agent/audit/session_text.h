// AuditSession: what does not change during a session, as the JSON it becomes in every record of it.
#pragma once
#include <cstdint>
#include <string>

#include "audit/record.h"

namespace callgate {

class AuditSession {
  public:
    explicit AuditSession(const SessionFacts& facts);
    AuditSession(std::string_view name_members, std::string_view fact_members)
        : name_members_(name_members), fact_members_(fact_members) {}
    // `,"session":"…","transport":"…"`
    const std::string& name_members() const { return name_members_; }
    // `,"server":{…},"peer":{…},"grant":"…","policy":"…","policy_revision":"…","mode":"…"`
    const std::string& fact_members() const { return fact_members_; }
    std::string_view id() const;
    // Where it lies for a process that comes after this one was killed: KeptSessions; 0: nowhere.
    uint32_t place() const { return place_; }
    void set_place(uint32_t place) { place_ = place; }

  private:
    std::string name_members_;
    std::string fact_members_;
    uint32_t place_ = 0;
};

}  // namespace callgate
