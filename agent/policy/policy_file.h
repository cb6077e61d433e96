// PolicyFile: the file that a policy is in. A policy is trusted as far as whoever can write its file, so what others can
// write governs nobody; nor does what is no file of its own, or too large to be a policy.
//
//   read_policy_file("policies.d/x.json")   ->  text, no problem
//   (mode 0664)                             ->  text, "can be written by others than its owner; chmod go-w it"
//   (a FIFO)                                ->  no text, "is not a regular file; …"
#pragma once
#include <optional>
#include <string>

namespace callgate {

struct PolicyFile {
    std::optional<std::string> text;  // none where it could not be read
    std::string problem;              // why it must not govern, and what to do; empty: it may
};

PolicyFile read_policy_file(const std::string& path);
// As the agent reads it: nobody but root and the agent's own user may own it, either.
PolicyFile read_governing_file(const std::string& path);

}  // namespace callgate
