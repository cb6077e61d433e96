// Nobody else may change what the agent keeps: who could would reset limits and approve calls.
#pragma once
#include <string>

#include "base/result.h"

namespace callgate {

// Refuses a state directory that others could change (base/trusted_path.h), and what lies in it, with what to do. What is not
// there yet is made by the agent, or is an error of who opens it.
Status check_state_directory(const std::string& path);

}  // namespace callgate
