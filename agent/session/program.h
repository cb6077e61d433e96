// Program: what was a runtime told to run? Read from argv alone, without looking at any file.
//
//   exe /usr/bin/node,      argv {node, --import, ./x.mjs, srv.js, stdio}   -> node, script "srv.js"
//   exe /usr/bin/python3.11 argv {python, -m, mcp.server}                   -> python, module "mcp.server"
//   exe /opt/deno           argv {deno, run, -A, npm:@acme/tools@1.2}       -> deno, npm @acme/tools 1.2
//
// The runtime is recognised by the executable that the kernel names, never by argv[0]. Shells are no runtimes
// here: what a shell script starts is what reads the pipe, and is looked at itself.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace callgate {

enum class Runtime { none, node, bun, deno, python };

struct Program {
    enum class Kind { none, script, module, npm, jsr };
    Runtime runtime = Runtime::none;
    Kind kind = Kind::none;
    std::string value;    // path as given, dotted module, name of a package
    std::string version;  // npm, jsr: as given, may be a range; else empty
};

Runtime runtime_of(std::string_view exe);
Program find_program(std::string_view exe, const std::vector<std::string>& argv);

}  // namespace callgate
