#include "session/package.h"

#include "session/elf_package.h"
#include "session/npm_package.h"
#include "session/program.h"
#include "session/python_package.h"
#include "session/root_fs.h"

namespace callgate {
namespace {

// Of one search, while others wait for their turn: some ten times what the largest site-packages takes.
constexpr size_t kLookupsMax = 65536;
constexpr size_t kReadBytesMax = size_t{128} << 20;

// The program's file, or what stands for it where a runtime would still complete the name ("node server" runs
// server.js): the same name in the resolved directory.
// The JavaScript runtimes fold ".." before they look at symlinks, Python leaves that to the kernel.
std::string script_path(const RootFs& fs, const Program& program, const std::string& cwd) {
    const std::string path = absolute_path(program.value, cwd);
    if (program.runtime == Runtime::python) {
        const std::string as_given = program.value.starts_with('/') ? program.value : cwd + "/" + program.value;
        if (std::optional<std::string> resolved = fs.resolve(as_given)) return *resolved;
    }
    if (std::optional<std::string> resolved = fs.resolve(path)) return *resolved;
    if (std::optional<std::string> resolved = fs.resolve(path + ".js")) return *resolved;
    if (std::optional<std::string> directory = fs.resolve(parent_directory(path))) {
        return absolute_path(base_name(path), *directory);
    }
    return path;
}

// Where the search upwards begins: a directory itself can be run ("node ./server").
std::string search_start(const RootFs& fs, const std::string& script) {
    const std::optional<RootFs::Found> found = fs.find(script);
    return found && S_ISDIR(found->status.st_mode) ? script : parent_directory(script);
}

// A program that npm installed belongs to the package that it lies in; of any other it is asked itself.
Package native_package(const RootFs& fs, const std::string& exe) {
    if (exe.empty()) return {};
    if (exe.find("/node_modules/") != std::string::npos) {
        Package package = npm_package_of_directory(fs, parent_directory(exe));
        if (!package.name.empty()) return package;
    }
    return elf_package(fs, exe);
}

}  // namespace

Package resolve_package(const std::string& root, const std::string& exe, const std::vector<std::string>& argv,
                        const std::string& cwd) {
    Result<RootFs> fs = RootFs::open(root);
    if (!fs.ok()) return {};
    fs->limit(kLookupsMax, kReadBytesMax);
    const Program program = find_program(exe, argv);
    switch (program.kind) {
        case Program::Kind::none: return program.runtime == Runtime::none ? native_package(*fs, exe) : Package{};
        case Program::Kind::npm: return Package{"npm", program.value, program.version, {}};
        case Program::Kind::jsr: return Package{"jsr", program.value, program.version, {}};
        case Program::Kind::module: return python_package_of_module(*fs, exe, argv[0], program.value, cwd);
        case Program::Kind::script: break;
    }
    const std::string script = script_path(*fs, program, cwd);
    if (program.runtime == Runtime::python) return python_package_of_script(*fs, exe, script);
    const std::string start = search_start(*fs, script);
    return program.runtime == Runtime::deno ? deno_package_of_directory(*fs, start) : npm_package_of_directory(*fs, start);
}

}  // namespace callgate
