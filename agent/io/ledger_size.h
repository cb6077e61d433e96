// What a ledger takes of this process's address space, in bytes: most of it is never touched.
#pragma once
#include <cstdint>

namespace callgate {

uint64_t ledger_address_bytes();

}  // namespace callgate
