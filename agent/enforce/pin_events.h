// What the audit log is told of pinned tools: "pin_added" once for all that a list brought, "pin_changed" for each that is
// defined otherwise than it was, "pin_unreadable" for a list that nobody can be sure of.
#pragma once
#include <memory>
#include <vector>

#include "audit/log.h"
#include "policy/pins.h"

namespace callgate {

void record_pins(AuditLog& audit, const std::shared_ptr<const AuditSession>& session, const std::vector<PinTable::News>& news);
void record_unreadable_list(AuditLog& audit, const std::shared_ptr<const AuditSession>& session, const std::string& server);

}  // namespace callgate
