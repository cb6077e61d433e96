// libbpf's last complaint, so that a refused program is explained by the verifier's own words.
#pragma once
#include <string>

#include "base/result.h"

namespace callgate {

// From here on this thread's complaints are kept instead of printed; forgets the earlier ones.
void collect_complaints();
// `code`: a negative errno, as libbpf returns it.
Error libbpf_error(const char* call, const char* object, int code);

}  // namespace callgate
