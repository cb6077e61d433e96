// What a program was started with, where it has written over its command line since (process.title, node --title).
//
// The kernel has no other copy, but libuv makes one before it gives the old place away: in one piece of memory, a table of
// pointers, a null, and right behind it the strings, as long together as the command line is (uv_setup_args()):
//
//   table   [p0][p1][p2][0]"node\0" "server.js\0" "stdio\0"        p0 points behind the 0, p1 behind the first string, …
//
// It is found by that form near the beginning of the process's heap: nothing else has it, and it can only be made by who
// knows where the heap is.
#pragma once
#include <string>
#include <vector>

#include "session/process_dir.h"

namespace callgate {

// Empty where there is no such copy.
std::vector<std::string> original_argv(const ProcessDir& dir);

}  // namespace callgate
