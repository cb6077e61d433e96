#include "session/package.h"

#include <gtest/gtest.h>

#include "temp_tree.h"

namespace callgate {
namespace {

constexpr char kNode[] = "/usr/bin/node";
constexpr char kPython[] = "/usr/bin/python3.11";

std::string shown(const Package& package) { return package.ecosystem + " " + package.name + " " + package.version; }

TEST(NpmPackage, NpxCacheLayout) {
    TempTree tree;
    const std::string modules = "/home/u/.npm/_npx/ab12/node_modules";
    tree.file(modules + "/session-forge/package.json", R"({"name":"session-forge","version":"1.2.0"})");
    tree.file(modules + "/session-forge/dist/package.json", R"({"type":"module"})");
    tree.file(modules + "/session-forge/dist/cli.js");
    tree.link(modules + "/.bin/session-forge", "../session-forge/dist/cli.js");
    const Package package = resolve_package(tree.root(), kNode, {"node", modules + "/.bin/session-forge", "stdio"}, "/");
    EXPECT_EQ(shown(package), "npm session-forge 1.2.0");
    EXPECT_EQ(package.root, modules + "/session-forge");
}

TEST(NpmPackage, ProjectScopedRelativeAndCompletedNames) {
    TempTree tree;
    tree.file("/srv/app/package.json", R"({"name":"@acme/app","version":"3.0.0"})");
    tree.file("/srv/app/dist/index.js");
    for (const char* script : {"dist/index.js", "dist", "./dist/index", "../app/dist/index.js", "gone.js"}) {
        EXPECT_EQ(shown(resolve_package(tree.root(), kNode, {"node", script}, "/srv/app")), "npm @acme/app 3.0.0") << script;
    }
    EXPECT_EQ(shown(resolve_package(tree.root(), "/x/bun.exe", {"bun", "run", "dist/index.js"}, "/srv/app")),
              "npm @acme/app 3.0.0");
    EXPECT_EQ(shown(resolve_package(tree.root(), "/x/deno", {"deno", "run", "-A", "dist/index.js"}, "/srv/app")),
              "npm @acme/app 3.0.0");
}

TEST(NpmPackage, SpecifierOfDenoAndBun) {
    EXPECT_EQ(shown(resolve_package("", "/x/deno", {"deno", "run", "-A", "npm:@acme/tools@1.2"}, "/")), "npm @acme/tools 1.2");
    EXPECT_EQ(shown(resolve_package("", "/x/bun", {"bunx", "tools"}, "/")), "npm tools ");
}

TEST(JsrPackage, Specifier) {
    const auto of = [](const char* script) { return shown(resolve_package("", "/x/deno", {"deno", "run", "-A", script}, "/")); };
    EXPECT_EQ(of("jsr:@acme/tools@1.2/server"), "jsr @acme/tools 1.2");
    EXPECT_EQ(of("jsr:@acme/tools"), "jsr @acme/tools ");
    EXPECT_EQ(of("https://example.org/@acme/tools/1/mod.ts"), "  ");
}

TEST(JsrPackage, DenoConfigurations) {
    TempTree tree;
    tree.file("/srv/a/deno.json", R"({"name":"@acme/a","version":"0.1.0"})");
    tree.file("/srv/a/package.json", R"({"name":"other"})");
    tree.file("/srv/a/main.ts");
    tree.file("/srv/b/deno.jsonc", "{\n  // ours\n  \"name\": \"@acme/b\" /* so */\n}");
    tree.file("/srv/b/src/main.ts");
    tree.file("/srv/c/deno.json", "{}");
    tree.file("/srv/c/package.json", R"({"name":"c"})");
    tree.file("/srv/c/main.ts");
    const auto of = [&](const std::string& exe, const char* script) {
        return shown(resolve_package(tree.root(), exe, {"x", "run", script}, "/srv"));
    };
    EXPECT_EQ(of("/x/deno", "a/main.ts"), "jsr @acme/a 0.1.0");
    EXPECT_EQ(of("/x/deno", "b/src/main.ts"), "jsr @acme/b ");
    EXPECT_EQ(of("/x/deno", "c/main.ts"), "npm c ");
    EXPECT_EQ(of("/x/bun", "a/main.ts"), "npm other ");
}

TEST(NpmPackage, GlobalInstallBehindItsLink) {
    TempTree tree;
    tree.file("/usr/lib/node_modules/@acme/notes/package.json", R"({"name":"@acme/notes","version":"2.0.0"})");
    tree.file("/usr/lib/node_modules/@acme/notes/bin/cli.js");
    tree.link("/usr/bin/notes", "../lib/node_modules/@acme/notes/bin/cli.js");
    EXPECT_EQ(shown(resolve_package(tree.root(), kNode, {"node", "/usr/bin/notes"}, "/")), "npm @acme/notes 2.0.0");
    // As pnpm lays them out: what is run lies in the store.
    tree.file("/p/node_modules/.pnpm/notes@3.0.0/node_modules/notes/package.json", R"({"name":"notes","version":"3.0.0"})");
    tree.file("/p/node_modules/.pnpm/notes@3.0.0/node_modules/notes/cli.js");
    tree.link("/p/node_modules/notes", ".pnpm/notes@3.0.0/node_modules/notes");
    EXPECT_EQ(shown(resolve_package(tree.root(), kNode, {"node", "node_modules/notes/cli.js"}, "/p")), "npm notes 3.0.0");
}

TEST(NativePackage, ByTheFilesName) {
    TempTree tree;
    tree.file("/opt/notes-server", "");
    EXPECT_EQ(shown(resolve_package(tree.root(), "/opt/notes-server", {"anything"}, "/")), "program notes-server ");
    // A runtime that runs no file has no package, whatever its own program was built from.
    EXPECT_EQ(shown(resolve_package(tree.root(), kPython, {"python3", "-c", "x"}, "/")), "  ");
    EXPECT_EQ(shown(resolve_package(tree.root(), kNode, {"node", "-e", "x"}, "/")), "  ");
}

TEST(NpmPackage, WhatIsInstalledIsNotTheProjectAroundIt) {
    TempTree tree;
    tree.file("/srv/app/package.json", R"({"name":"app"})");
    tree.file("/srv/app/node_modules/loose/index.js");
    EXPECT_EQ(resolve_package(tree.root(), kNode, {"node", "/srv/app/node_modules/loose/index.js"}, "/").name, "");
}

TEST(NpmPackage, NativeProgramBelowNodeModules) {
    TempTree tree;
    tree.file("/p/node_modules/native/package.json", R"({"name":"native","version":"1.0.0"})");
    tree.file("/p/node_modules/native/bin/tool");
    const std::string exe = "/p/node_modules/native/bin/tool";
    EXPECT_EQ(shown(resolve_package(tree.root(), exe, {"tool"}, "/")), "npm native 1.0.0");
    // A runtime that was itself installed from npm is not the server.
    EXPECT_EQ(resolve_package(tree.root(), "/p/node_modules/native/bin/bun.exe", {"bun"}, "/").name, "");
}

TEST(NpmPackage, HostileManifests) {
    TempTree tree;
    tree.file("/a/package.json", R"({"name":"outer","version":"1"})");
    const std::string cases[] = {"",
                                 "[",
                                 "[]",
                                 R"({"name":7})",
                                 R"({"name":""})",
                                 "{\"name\":\"\xff\"}",
                                 std::string(100000, '['),
                                 R"({"name":")" + std::string(600, 'n') + "\"}",
                                 "{\"name\":\"inner\"}" + std::string(1 << 20, ' ')};
    for (const std::string& text : cases) {
        tree.file("/a/b/package.json", text);
        tree.file("/a/b/x.js");
        EXPECT_EQ(resolve_package(tree.root(), kNode, {"node", "/a/b/x.js"}, "/").name, "outer");
    }
}

TEST(NpmPackage, ChangedManifestIsReadAgain) {
    TempTree tree;
    tree.file("/a/x.js");
    tree.file("/a/package.json", R"({"name":"one"})");
    EXPECT_EQ(resolve_package(tree.root(), kNode, {"node", "/a/x.js"}, "/").name, "one");
    std::filesystem::remove(tree.path("/a/package.json"));
    tree.file("/a/package.json", R"({"name":"other"})");
    EXPECT_EQ(resolve_package(tree.root(), kNode, {"node", "/a/x.js"}, "/").name, "other");
}

void add_dist(const TempTree& tree, const std::string& site, const std::string& name) {
    const std::string dist = site + "/" + name + "-1.5.dist-info";
    tree.file(dist + "/METADATA", "Metadata-Version: 2.1\nName: " + name + "\nVersion: 1.5\n\nName: not this\n");
    tree.file(dist + "/entry_points.txt", "[console_scripts]\nrun-" + name + " = " + name + ".cli:main\n");
    tree.file(dist + "/RECORD", name + "/__init__.py,sha256=x,1\n" + name + "/cli.py,sha256=x,1\n");
    tree.file(site + "/" + name + "/__init__.py");
    tree.file(site + "/" + name + "/cli.py");
}

TEST(PythonPackage, ConsoleScriptOfVenvAndItsLink) {
    TempTree tree;
    const std::string site = "/v/lib/python3.11/site-packages";
    for (const char* name : {"Alpha_One", "beta", "gamma"}) add_dist(tree, site, name);
    tree.file("/v/bin/run-Alpha_One", "#!/v/bin/python\n");
    tree.link("/home/u/.local/bin/run", "/v/bin/run-Alpha_One");
    for (const char* script : {"/v/bin/run-Alpha_One", "/home/u/.local/bin/run"}) {
        const Package package = resolve_package(tree.root(), kPython, {"/v/bin/python", script}, "/");
        EXPECT_EQ(shown(package), "python Alpha_One 1.5");
        EXPECT_EQ(package.root, site + "/Alpha_One-1.5.dist-info");
    }
    // Another version's directory is found by listing.
    EXPECT_EQ(resolve_package(tree.root(), "/usr/bin/python3.9", {"python", "/v/bin/run-Alpha_One"}, "/").name, "Alpha_One");
}

TEST(PythonPackage, ScriptThatIsNoEntryPoint) {
    TempTree tree;
    const std::string site = "/v/lib/python3.11/site-packages";
    for (const char* name : {"alpha", "beta"}) add_dist(tree, site, name);
    tree.file(site + "/gamma-2.dist-info/METADATA", "Name: gamma\nVersion: 2\n");
    tree.file(site + "/gamma-2.dist-info/RECORD", "gamma/bin/other,,\n../../../bin/serve,sha256=x,1\n\"../../../bin/a,b\",,\n");
    for (const char* script : {"serve", "a,b", "other", "erve"}) tree.file(std::string("/v/bin/") + script, "#!/v/bin/python\n");
    const auto owner = [&](const std::string& script) {
        return resolve_package(tree.root(), kPython, {"/v/bin/python", "/v/bin/" + script}, "/").name;
    };
    EXPECT_EQ(owner("serve"), "gamma");
    EXPECT_EQ(owner("a,b"), "gamma");
    EXPECT_EQ(owner("other"), "");
    EXPECT_EQ(owner("erve"), "");
}

// Files without content can have any size. What was not looked at is not taken for what is not there.
TEST(PythonPackage, WhatTakesTooLongIsGivenUpAndNotRemembered) {
    TempTree tree;
    const std::string site = "/v/lib/python3.11/site-packages";
    add_dist(tree, site, "zeta");
    tree.file(site + "/zeta-1.5.dist-info/RECORD", "owned/__init__.py,,\n");
    const auto resize_others = [&](uintmax_t bytes) {
        for (int number = 10; number < 30; ++number)
            std::filesystem::resize_file(tree.path(site + "/other" + std::to_string(number) + "-1.dist-info/RECORD"), bytes);
    };
    for (int number = 10; number < 30; ++number) tree.file(site + "/other" + std::to_string(number) + "-1.dist-info/RECORD");
    tree.file("/v/pyvenv.cfg", "include-system-site-packages = false\n");
    const auto owner = [&] { return resolve_package(tree.root(), kPython, {"/v/bin/python", "-m", "owned"}, "/").name; };
    resize_others(uintmax_t{8} << 20);
    EXPECT_EQ(owner(), "");
    resize_others(0);
    EXPECT_EQ(owner(), "zeta");
}

TEST(PythonPackage, ModuleOfVenv) {
    TempTree tree;
    const std::string site = "/v/lib/python3.11/site-packages";
    add_dist(tree, site, "alpha");
    add_dist(tree, site, "beta");
    // A namespace shared by two distributions: RECORD tells them apart.
    for (const std::string part : {"one", "two"}) {
        const std::string dist = site + "/space_" + part + "-1.dist-info";
        tree.file(dist + "/METADATA", "Name: space." + part + "\nVersion: 1\n");
        tree.file(dist + "/RECORD", "space/" + part + "/__main__.py,sha256=x,1\n");
    }
    tree.file("/v/pyvenv.cfg", "home = /usr/bin\ninclude-system-site-packages = false\n");
    auto module = [&](const std::string& name) {
        return resolve_package(tree.root(), kPython, {"/v/bin/python", "-m", name}, "/").name;
    };
    EXPECT_EQ(module("beta.cli"), "beta");
    EXPECT_EQ(module("beta"), "beta");
    EXPECT_EQ(module("space.two"), "space.two");
    EXPECT_EQ(module("space.one"), "space.one");
    EXPECT_EQ(module("absent"), "");
    // Below site-packages a script is owned as its module is.
    EXPECT_EQ(resolve_package(tree.root(), kPython, {"python", site + "/alpha/cli.py"}, "/").name, "alpha");
}

TEST(PythonPackage, UvxAndPipx) {
    TempTree tree;
    // uvx: an environment in the cache, on an interpreter of uv's own.
    const std::string archive = "/home/u/.cache/uv/archive-v0/Ab12";
    add_dist(tree, archive + "/lib/python3.12/site-packages", "mcp_server_time");
    tree.file(archive + "/bin/run-mcp_server_time", "#!" + archive + "/bin/python\n");
    const std::string uv_python = "/home/u/.local/share/uv/python/cpython-3.12-linux-x86_64-gnu/bin/python3.12";
    EXPECT_EQ(
        shown(resolve_package(tree.root(), uv_python, {archive + "/bin/python", archive + "/bin/run-mcp_server_time"}, "/")),
        "python mcp_server_time 1.5");
    EXPECT_EQ(shown(resolve_package(tree.root(), uv_python, {archive + "/bin/python", "-m", "mcp_server_time"}, "/")),
              "python mcp_server_time 1.5");
    // pipx: an environment for each, and links in ~/.local/bin.
    const std::string venv = "/home/u/.local/share/pipx/venvs/notes";
    add_dist(tree, venv + "/lib/python3.11/site-packages", "notes");
    tree.file(venv + "/bin/run-notes", "#!" + venv + "/bin/python\n");
    tree.link("/home/u/.local/bin/run-notes", venv + "/bin/run-notes");
    EXPECT_EQ(shown(resolve_package(tree.root(), kPython, {venv + "/bin/python", "/home/u/.local/bin/run-notes"}, "/")),
              "python notes 1.5");
}

TEST(PythonPackage, SystemInstallWithEggInfo) {
    TempTree tree;
    const std::string egg = "/usr/lib/python3/dist-packages/tool-2.0.egg-info";
    tree.file(egg + "/PKG-INFO", "Metadata-Version: 1.2\nName: tool\nVersion: 2.0\n");
    tree.file(egg + "/top_level.txt", "toollib\n");
    tree.file(egg + "/entry_points.txt", "[console_scripts]\ntool=toollib:main\n");
    tree.file("/usr/bin/tool", "#!/usr/bin/python3\n");
    EXPECT_EQ(shown(resolve_package(tree.root(), kPython, {"python3", "/usr/bin/tool"}, "/")), "python tool 2.0");
    EXPECT_EQ(shown(resolve_package(tree.root(), kPython, {"python3", "-m", "toollib"}, "/")), "python tool 2.0");
}

TEST(PythonPackage, ProjectInDevelopment) {
    TempTree tree;
    tree.file("/srv/app/pyproject.toml",
              "[build-system]\nname = \"no\"\n[project]  # here\nname = \"my-app\"  # yes\nversion = '0.1'\n");
    tree.file("/srv/app/src/server.py");
    tree.file("/srv/app/server/__main__.py");
    EXPECT_EQ(shown(resolve_package(tree.root(), kPython, {"python", "src/server.py"}, "/srv/app")), "python my-app 0.1");
    EXPECT_EQ(shown(resolve_package(tree.root(), kPython, {"python", "-m", "server"}, "/srv/app")), "python my-app 0.1");
    EXPECT_EQ(resolve_package(tree.root(), kPython, {"python", "-c", "x"}, "/srv/app").name, "");
}

}  // namespace
}  // namespace callgate
