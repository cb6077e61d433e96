// ArgumentsHash: tells equal arguments equal without telling what they were (SipHash-2-4-128, keyed by the
// host's secret). Of arguments over kAuditHashBytes the first and the last half of that, and the length, are
// hashed.
#pragma once
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace callgate {

class ArgumentsHash {
  public:
    static constexpr size_t kBytes = 16;
    using Digest = std::array<std::byte, kBytes>;

    // The secret in `path`: 32 random bytes, 0600; made where the file is absent.
    static Result<ArgumentsHash> open(const std::string& path);
    // What open() would say of the file as it is; none is made.
    static Status check(const std::string& path);
    explicit ArgumentsHash(std::string_view secret);
    Digest of(std::string_view arguments) const;

  private:
    std::array<unsigned char, 16> key_{};
};

}  // namespace callgate
