// Which package does a process run? From argv, cwd and exe to the package.json or *.dist-info that holds its
// program.
//
// - npm: node|bun|deno [options] SCRIPT: symlinks resolved, then the nearest package.json upwards that has a
//   "name"; also native programs that live below a node_modules directory. For deno also deno.json and deno.jsonc.
// - jsr: deno run jsr:@scope/name.
// - python: python [options] SCRIPT | -m MODULE, and console scripts (their shebang makes them SCRIPT) of
//   venv, pipx, uvx and system installs: the *.dist-info whose entry_points.txt, RECORD or top_level.txt owns
//   it; else the nearest pyproject.toml upwards with a project name.
// - native programs: elf_package.h.
//
// A relative SCRIPT is taken from the working directory that the process has now; one that has changed it, or
// has overwritten its argv in another way than Node's, may not be recognised. Shell scripts belong to no package. Every
// path is looked up inside the process's own root (/proc/PID/root), so containers work.
#pragma once
#include <sys/types.h>

#include <string>
#include <vector>

#include "session/identity.h"

namespace callgate {

// `root` is prefixed to every path ("" for the host, "/proc/PID/root" for a process).
Package resolve_package(const std::string& root, const std::string& exe, const std::vector<std::string>& argv,
                        const std::string& cwd);

}  // namespace callgate
