#include "session/program.h"

#include <algorithm>
#include <span>

namespace callgate {
namespace {

using Arguments = std::span<const std::string>;

bool contains(std::span<const std::string_view> list, std::string_view text) {
    return std::find(list.begin(), list.end(), text) != list.end();
}

// clang-format off
// Options whose value is the next argument (written with "=", it is part of the same one).
constexpr std::string_view kNodeValued[] = {
    "-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions",
    "--env-file", "--env-file-if-exists", "--title", "--inspect-port", "--debug-port",
    "--diagnostic-dir", "--disable-proto", "--disable-warning", "--dns-result-order", "--icu-data-dir",
    "--input-type", "--openssl-config", "--redirect-warnings", "--report-dir", "--report-directory",
    "--report-filename", "--report-signal", "--secure-heap", "--secure-heap-min", "--tls-cipher-list",
    "--tls-keylog", "--trace-event-categories", "--trace-event-file-pattern", "--trace-require-module",
    "--unhandled-rejections", "--use-largepages", "--v8-pool-size", "--watch-path",
    "--max-http-header-size", "--heapsnapshot-near-heap-limit", "--heapsnapshot-signal",
    "--heap-prof-dir", "--heap-prof-name", "--heap-prof-interval", "--cpu-prof-dir", "--cpu-prof-name",
    "--cpu-prof-interval", "--experimental-default-type", "--experimental-config-file",
    "--experimental-policy", "--policy-integrity", "--experimental-specifier-resolution",
    "--es-module-specifier-resolution", "--network-family-autoselection-attempt-timeout",
    "--snapshot-blob", "--allow-fs-read", "--allow-fs-write", "--inspect-publish-uid",
    "--security-revert", "--localstorage-file",
};
constexpr std::string_view kNodeNoScript[] = {"-e", "--eval", "-p", "--print", "-pe", "-i", "--interactive"};
constexpr std::string_view kBunValued[] = {
    "-r", "--preload", "--require", "--import", "-c", "--config", "--cwd", "--env-file", "--port", "-d",
    "--define", "-l", "--loader", "--conditions", "--tsconfig-override", "--jsx-factory",
    "--jsx-fragment", "--jsx-import-source", "--jsx-runtime", "-F", "--filter", "--install",
    "--main-fields", "--extension-order", "--external", "--title", "--shell", "--max-http-header-size",
    "--dns-result-order", "-p", "--package",
};
constexpr std::string_view kDenoValued[] = {
    "-c", "--config", "--import-map", "--cert", "--location", "--seed", "-L", "--log-level", "--ext",
    "--preload", "--require", "--conditions", "--port", "--host", "--minimum-dependency-age",
};
constexpr std::string_view kPythonValued[] = {"-X", "-W", "--check-hash-based-pycs"};
// Verbs of deno that run no server.
constexpr std::string_view kDenoOtherVerbs[] = {
    "eval", "repl", "task", "install", "add", "test", "fmt", "lint", "compile", "cache", "info",
    "bench", "doc", "check", "lsp", "jupyter", "init", "upgrade",
};
// clang-format on

// Index of the first argument that is no option, or arguments.size().
size_t skip_options(Arguments arguments, std::span<const std::string_view> valued, bool underscore_is_dash) {
    size_t at = 0;
    while (at < arguments.size()) {
        std::string option = arguments[at];
        if (option == "--") return at + 1;
        if (option.size() < 2 || option[0] != '-') return at;
        if (underscore_is_dash && option.starts_with("--")) {
            std::replace(option.begin(), option.begin() + static_cast<long>(std::min(option.find('='), option.size())), '_', '-');
        }
        at += contains(valued, option) ? 2 : 1;
    }
    return arguments.size();
}

// "@scope/name@1.2/path" -> "@scope/name", "1.2"
void set_package(Program& program, Program::Kind kind, std::string_view specifier) {
    if (specifier.starts_with('/')) specifier.remove_prefix(1);
    size_t slash = specifier.find('/');
    if (specifier.starts_with('@') && slash != std::string_view::npos) slash = specifier.find('/', slash + 1);
    specifier = specifier.substr(0, slash);
    size_t at = specifier.find('@', 1);
    program.kind = kind;
    program.value = specifier.substr(0, at);
    if (at != std::string_view::npos) program.version = specifier.substr(at + 1);
    if (program.value.empty()) program.kind = Program::Kind::none;
}

void set_script(Program& program, const std::string& script) {
    // "-" and no script at all: the code comes from stdin, there is no package.
    if (script.empty() || script == "-") return;
    const std::string_view text = script;
    if (text.starts_with("npm:")) return set_package(program, Program::Kind::npm, text.substr(4));
    if (text.starts_with("jsr:")) return set_package(program, Program::Kind::jsr, text.substr(4));
    if (script.starts_with("file://")) {
        program.value = script.substr(7);
    } else if (script.find("://") != std::string::npos || script.starts_with("data:")) {
        return;  // fetched code: no file of this host says whose it is
    } else {
        program.value = script;
    }
    program.kind = Program::Kind::script;
}

void read_node(Program& program, Arguments arguments) {
    size_t script = skip_options(arguments, kNodeValued, true);
    for (size_t i = 0; i < std::min(script, arguments.size()); ++i) {
        std::string_view option = arguments[i];
        if (contains(kNodeNoScript, option) || option.starts_with("--eval=") || option.starts_with("--print=")) return;
    }
    if (script < arguments.size()) set_script(program, arguments[script]);
}

void read_bun(Program& program, std::string_view argv0, Arguments arguments) {
    size_t first = skip_options(arguments, kBunValued, false);
    for (size_t i = 0; i < std::min(first, arguments.size()); ++i) {
        std::string_view option = arguments[i];
        if (option == "-e" || option == "--eval" || option == "--print") return;
    }
    if (first >= arguments.size()) return;
    bool is_bunx = argv0.ends_with("bunx");
    if (!is_bunx && (arguments[first] == "run" || arguments[first] == "x")) {
        is_bunx = arguments[first] == "x";
        arguments = arguments.subspan(first + 1);
        first = skip_options(arguments, kBunValued, false);
        if (first >= arguments.size()) return;
    }
    if (is_bunx) return set_package(program, Program::Kind::npm, arguments[first]);
    set_script(program, arguments[first]);
}

void read_deno(Program& program, Arguments arguments) {
    size_t first = skip_options(arguments, kDenoValued, false);
    if (first >= arguments.size() || contains(kDenoOtherVerbs, arguments[first])) return;
    if (arguments[first] == "run" || arguments[first] == "serve" || arguments[first] == "x") {
        const bool is_x = arguments[first] == "x";
        arguments = arguments.subspan(first + 1);
        first = skip_options(arguments, kDenoValued, false);
        if (first >= arguments.size()) return;
        if (is_x && !arguments[first].starts_with("npm:") && !arguments[first].starts_with("jsr:")) return;
    }
    set_script(program, arguments[first]);
}

void read_python(Program& program, Arguments arguments) {
    for (size_t at = 0; at < arguments.size(); ++at) {
        const std::string& option = arguments[at];
        if (option.size() < 2 || option[0] != '-') return set_script(program, option);
        if (contains(kPythonValued, option)) {
            ++at;
            continue;
        }
        if (option[1] == '-') continue;
        // Short options can be joined: "-um" takes the module from the next argument, "-mpkg" holds it.
        size_t letter = option.find_first_of("cmXW", 1);
        if (letter == std::string::npos) continue;
        if (option[letter] == 'c') return;
        const bool is_joined = letter + 1 < option.size();
        if (option[letter] != 'm') {
            if (!is_joined) ++at;
            continue;
        }
        program.value = is_joined ? option.substr(letter + 1) : at + 1 < arguments.size() ? arguments[at + 1] : "";
        if (!program.value.empty()) program.kind = Program::Kind::module;
        return;
    }
}

}  // namespace

Runtime runtime_of(std::string_view exe) {
    constexpr std::string_view kDeleted = " (deleted)";  // the file was replaced while it runs
    if (exe.ends_with(kDeleted)) exe.remove_suffix(kDeleted.size());
    exe = exe.substr(exe.rfind('/') + 1);
    if (exe.ends_with(".exe")) exe.remove_suffix(4);  // Bun's npm package names its Linux program so
    if (exe == "node" || exe == "nodejs") return Runtime::node;
    if (exe == "bun" || exe == "bunx") return Runtime::bun;
    if (exe == "deno") return Runtime::deno;
    for (std::string_view python : {"python", "pypy"}) {
        if (!exe.starts_with(python)) continue;
        if (exe.find_first_not_of("0123456789.dtm", python.size()) == std::string_view::npos) return Runtime::python;
    }
    return Runtime::none;
}

Program find_program(std::string_view exe, const std::vector<std::string>& argv) {
    Program program;
    program.runtime = runtime_of(exe);
    if (argv.empty()) return program;
    Arguments arguments = Arguments(argv).subspan(1);
    switch (program.runtime) {
        case Runtime::none: break;
        case Runtime::node: read_node(program, arguments); break;
        case Runtime::bun: read_bun(program, argv[0], arguments); break;
        case Runtime::deno: read_deno(program, arguments); break;
        case Runtime::python: read_python(program, arguments); break;
    }
    return program;
}

}  // namespace callgate
