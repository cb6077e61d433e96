// The Python distribution that holds a script or module.
//
//   /home/u/.venv/bin/mcp-git (console script)  -> the *.dist-info whose entry_points.txt defines mcp-git
//   -m mcp_server.time         -> the *.dist-info whose RECORD or top_level.txt owns mcp_server/time
//   /srv/app/server.py         -> the nearest pyproject.toml upwards with a project name
//
// Package.name is what METADATA says, unnormalised. Answers for a site directory are remembered until it
// changes.
#pragma once
#include <string>
#include <vector>

#include "session/package.h"
#include "session/root_fs.h"

namespace callgate {

// `script`: absolute, without symlinks.
Package python_package_of_script(const RootFs& fs, const std::string& exe, const std::string& script);
// `argv0`: how the interpreter was called; in a virtual environment it lies there while `exe` does not.
Package python_package_of_module(const RootFs& fs, const std::string& exe, const std::string& argv0, const std::string& module,
                                 const std::string& cwd);

}  // namespace callgate
