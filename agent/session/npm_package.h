// The npm package that holds a directory: the nearest package.json upwards that has a "name".
//
//   /home/u/.npm/_npx/ab12/node_modules/session-forge/dist  (its package.json only says {"type":"module"})
//   -> session-forge 1.2.0, root /home/u/.npm/_npx/ab12/node_modules/session-forge
//
// Like Node's own search it stops at a node_modules directory: what is installed there never counts as part
// of the project around it.
#pragma once
#include <string>

#include "session/package.h"
#include "session/root_fs.h"

namespace callgate {

// `directory`: absolute, without symlinks. A Package without name where there is none.
Package npm_package_of_directory(const RootFs& fs, std::string directory);
// As Deno looks for it: deno.json and deno.jsonc before package.json, in each directory.
Package deno_package_of_directory(const RootFs& fs, std::string directory);

}  // namespace callgate
