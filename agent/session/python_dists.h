// PythonDists: the *.dist-info and *.egg-info directories of one site-packages directory, searched by what
// they own.
#pragma once
#include <string>
#include <vector>

#include "session/package.h"
#include "session/root_fs.h"

namespace callgate {

// Which distribution in `site` defines the console script `script`, or brought a file of that name? Empty where none does.
Package find_script_owner(const RootFs& fs, const std::string& site, const std::string& script);
// Which distribution in `site` owns the dotted `module`?
Package find_module_owner(const RootFs& fs, const std::string& site, const std::string& module);

// Text searches, on their own for the tests.
bool has_console_script(const std::string& entry_points, const std::string& script);
// RECORD lists the file `script` in some bin/ outside of site-packages.
bool records_script(const std::string& record, const std::string& script);
// 2: RECORD lists the module itself; 1: only its first component; 0: neither.
int record_rank(const std::string& record, const std::string& module);
// "Name: x" of METADATA or PKG-INFO.
std::string metadata_field(const std::string& metadata, const std::string& field);
// `key = "value"` in [project], else in [tool.poetry].
std::string pyproject_field(const std::string& pyproject, const std::string& key);

}  // namespace callgate
