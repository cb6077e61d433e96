#include "session/python_package.h"

#include <algorithm>

#include "session/python_dists.h"

namespace callgate {
namespace {

constexpr size_t kPyprojectBytesMax = size_t{1} << 20;
constexpr size_t kLibraryEntriesMax = 4096;
constexpr int kWalkMax = 64;

Package nearest_pyproject(const RootFs& fs, std::string directory) {
    for (int step = 0; step < kWalkMax; ++step) {
        const std::string path = directory == "/" ? "/pyproject.toml" : directory + "/pyproject.toml";
        if (const auto text = fs.read(path, kPyprojectBytesMax)) {
            const std::string name = pyproject_field(*text, "name");
            if (!name.empty()) return Package{"python", name, pyproject_field(*text, "version"), directory};
        }
        if (directory == "/") break;
        directory = parent_directory(directory);
    }
    return {};
}

void add_if_directory(const RootFs& fs, const std::string& path, std::vector<std::string>& sites) {
    const auto found = fs.find(path);
    if (found && S_ISDIR(found->status.st_mode) && std::find(sites.begin(), sites.end(), path) == sites.end()) {
        sites.push_back(path);
    }
}

// The directories below `prefix` that hold distributions. The interpreter's own name says which version's;
// only where that leads nowhere is the library directory listed.
std::vector<std::string> sites_of(const RootFs& fs, const std::string& prefix, const std::string& exe) {
    const std::string base = prefix == "/" ? "" : prefix;
    const std::string interpreter = base_name(exe);
    std::vector<std::string> sites;
    for (const char* library : {"/lib/", "/lib64/", "/local/lib/"}) {
        add_if_directory(fs, base + library + interpreter + "/site-packages", sites);
        add_if_directory(fs, base + library + interpreter + "/dist-packages", sites);
    }
    add_if_directory(fs, base + "/lib/python3/dist-packages", sites);
    if (!sites.empty()) return sites;
    for (const std::string& name : fs.list(base + "/lib", kLibraryEntriesMax)) {
        if (name.starts_with("python") || name.starts_with("pypy")) {
            add_if_directory(fs, base + "/lib/" + name + "/site-packages", sites);
            add_if_directory(fs, base + "/lib/" + name + "/dist-packages", sites);
        }
    }
    return sites;
}

// A virtual environment that sees the system's packages too says so in pyvenv.cfg.
bool sees_system_packages(const std::string& pyvenv) {
    const size_t at = pyvenv.find("include-system-site-packages");
    const std::string line = at == std::string::npos ? "" : pyvenv.substr(at, pyvenv.find('\n', at) - at);
    return line.find("true") != std::string::npos;
}

std::vector<std::string> module_prefixes(const RootFs& fs, const std::string& exe, const std::string& argv0,
                                         const std::string& cwd) {
    std::vector<std::string> prefixes;
    bool is_system_visible = true;
    if (argv0.find('/') != std::string::npos) {
        const std::string prefix = parent_directory(parent_directory(absolute_path(argv0, cwd)));
        prefixes.push_back(prefix);
        if (const auto pyvenv = fs.read(prefix + "/pyvenv.cfg", kPyprojectBytesMax)) {
            is_system_visible = sees_system_packages(*pyvenv);
        }
    }
    if (is_system_visible) {
        prefixes.push_back(parent_directory(parent_directory(exe)));
        if (prefixes.back() == "/usr") prefixes.push_back("/usr/local");
    }
    return prefixes;
}

// "/x/lib/python3.11/site-packages/a/b.py" -> site "/x/lib/python3.11/site-packages", module "a.b"
bool split_at_site(const std::string& script, std::string& site, std::string& module) {
    for (const std::string marker : {"/site-packages/", "/dist-packages/"}) {
        const size_t at = script.rfind(marker);
        if (at == std::string::npos) continue;
        site = script.substr(0, at + marker.size() - 1);
        module = script.substr(at + marker.size());
        if (module.ends_with(".py")) module.resize(module.size() - 3);
        std::replace(module.begin(), module.end(), '/', '.');
        return true;
    }
    return false;
}

}  // namespace

Package python_package_of_script(const RootFs& fs, const std::string& exe, const std::string& script) {
    std::string site;
    std::string module;
    if (split_at_site(script, site, module)) {
        Package package = find_module_owner(fs, site, module);
        if (!package.name.empty()) return package;
    }
    const std::string directory = parent_directory(script);
    if (base_name(directory) == "bin") {
        for (const std::string& each : sites_of(fs, parent_directory(directory), exe)) {
            Package package = find_script_owner(fs, each, base_name(script));
            if (!package.name.empty()) return package;
        }
    }
    return nearest_pyproject(fs, directory);
}

Package python_package_of_module(const RootFs& fs, const std::string& exe, const std::string& argv0, const std::string& module,
                                 const std::string& cwd) {
    // Python looks into the working directory first.
    std::string first = absolute_path(module.substr(0, module.find('.')), cwd);
    const bool is_local = fs.find(first + ".py") || fs.find(first + "/__init__.py") || fs.find(first + "/__main__.py");
    if (is_local) {
        Package package = nearest_pyproject(fs, cwd);
        if (!package.name.empty()) return package;
    }
    for (const std::string& prefix : module_prefixes(fs, exe, argv0, cwd)) {
        for (const std::string& site : sites_of(fs, prefix, exe)) {
            Package package = find_module_owner(fs, site, module);
            if (!package.name.empty()) return package;
        }
    }
    return nearest_pyproject(fs, cwd);
}

}  // namespace callgate
