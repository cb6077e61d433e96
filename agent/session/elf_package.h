// The package that a native program was built from, by what its compiler or its distribution wrote into it.
//
//   Go: the main module, from the build information         ->  go   github.com/acme/notes-mcp  v1.4.0
//   .note.package (systemd's ELF package metadata)          ->  deb  coreutils  9.1-1
//   neither (Rust, C++, a compiled script)                  ->  program  notes-server: the name of the file
//
// What is remembered is remembered by the file itself, so that a program that was replaced is read again.
#pragma once
#include <string>
#include <string_view>

#include "session/package.h"
#include "session/root_fs.h"

namespace callgate {

// `exe`: path in `fs`. By the name of the file where it cannot be read.
Package elf_package(const RootFs& fs, const std::string& exe);

// --- on their own for the tests
// The bytes of .go.buildinfo as they stand in the file, with its strings in them (Go 1.18 and later).
std::string go_module_text(std::string_view build_info);
// "path\t…\nmod\tMODULE\tVERSION\t…\n" without the marks around it.
Package go_package(std::string_view module_text);
Package note_package(const std::string& note);

}  // namespace callgate
