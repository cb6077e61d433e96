#include "session/program.h"

#include <gtest/gtest.h>

namespace callgate {
namespace {

using Argv = std::vector<std::string>;

std::string shown(const std::string& exe, const Argv& argv) {
    const Program program = find_program(exe, argv);
    switch (program.kind) {
        case Program::Kind::none: return "none";
        case Program::Kind::script: return "script " + program.value;
        case Program::Kind::module: return "module " + program.value;
        case Program::Kind::npm: return "npm " + program.value + " " + program.version;
        case Program::Kind::jsr: return "jsr " + program.value + " " + program.version;
    }
    return "?";
}

TEST(Program, RuntimeIsTheKernelsExecutable) {
    EXPECT_EQ(runtime_of("/usr/bin/node"), Runtime::node);
    EXPECT_EQ(runtime_of("/usr/bin/node (deleted)"), Runtime::node);
    EXPECT_EQ(runtime_of("/x/node_modules/bun/bin/bun.exe"), Runtime::bun);
    EXPECT_EQ(runtime_of("/x/node_modules/deno/deno"), Runtime::deno);
    EXPECT_EQ(runtime_of("/usr/bin/python3.11"), Runtime::python);
    EXPECT_EQ(runtime_of("/opt/pypy3.10"), Runtime::python);
    EXPECT_EQ(runtime_of("/usr/bin/python-config"), Runtime::none);
    EXPECT_EQ(runtime_of("/bin/dash"), Runtime::none);
    EXPECT_EQ(runtime_of(""), Runtime::none);
    EXPECT_EQ(shown("/bin/dash", Argv{"node", "server.js"}), "none");
}

TEST(Program, Node) {
    auto node = [](Argv argv) { return shown("/usr/bin/node", argv); };
    EXPECT_EQ(node({"node", "srv.js", "stdio"}), "script srv.js");
    EXPECT_EQ(node({"node", "-r", "./hook.cjs", "--import", "x", "srv.js"}), "script srv.js");
    EXPECT_EQ(node({"node", "--require=./hook.cjs", "srv.js"}), "script srv.js");
    EXPECT_EQ(node({"node", "-C", "dev", "--conditions", "a", "--env-file", ".env", "srv.js"}), "script srv.js");
    EXPECT_EQ(node({"node", "--loader", "l.mjs", "--no-warnings", "--", "srv.js"}), "script srv.js");
    EXPECT_EQ(node({"node", "--input_type", "module", "srv.js"}), "script srv.js");
    EXPECT_EQ(node({"node", "--max-old-space-size=100", "file:///app/srv.js"}), "script /app/srv.js");
    EXPECT_EQ(node({"node", "-e", "1", "srv.js"}), "none");
    EXPECT_EQ(node({"node", "--eval=1", "srv.js"}), "none");
    EXPECT_EQ(node({"node", "-p", "1"}), "none");
    EXPECT_EQ(node({"node", "srv.js", "-e", "1"}), "script srv.js");
    EXPECT_EQ(node({"node", "-"}), "none");
    EXPECT_EQ(node({"node", "--require"}), "none");
    EXPECT_EQ(node({"node"}), "none");
    EXPECT_EQ(node({}), "none");
}

TEST(Program, Bun) {
    auto bun = [](Argv argv) { return shown("/x/bun.exe", argv); };
    EXPECT_EQ(bun({"bun", "srv.ts"}), "script srv.ts");
    EXPECT_EQ(bun({"bun", "run", "--hot", "srv.ts"}), "script srv.ts");
    EXPECT_EQ(bun({"bun", "--cwd", "/x", "run", "--preload", "p.ts", "srv.ts"}), "script srv.ts");
    EXPECT_EQ(bun({"bunx", "-y", "@acme/tools@latest", "stdio"}), "npm @acme/tools latest");
    EXPECT_EQ(bun({"bun", "x", "tools"}), "npm tools ");
    EXPECT_EQ(bun({"bun", "-e", "1"}), "none");
}

TEST(Program, Deno) {
    auto deno = [](Argv argv) { return shown("/x/deno", argv); };
    EXPECT_EQ(deno({"deno", "run", "-A", "srv.ts"}), "script srv.ts");
    EXPECT_EQ(deno({"deno", "-A", "srv.ts"}), "script srv.ts");
    EXPECT_EQ(deno({"deno", "run", "--allow-read=/x", "-c", "deno.json", "srv.ts"}), "script srv.ts");
    EXPECT_EQ(deno({"deno", "run", "-A", "npm:@acme/tools@1.2/sub", "x"}), "npm @acme/tools 1.2");
    EXPECT_EQ(deno({"deno", "run", "npm:tools"}), "npm tools ");
    EXPECT_EQ(deno({"deno", "run", "npm:/tools@2"}), "npm tools 2");
    EXPECT_EQ(deno({"deno", "run", "https://example.org/srv.ts"}), "none");
    EXPECT_EQ(deno({"deno", "run", "npm:"}), "none");
    EXPECT_EQ(deno({"deno", "eval", "1"}), "none");
}

TEST(Program, Python) {
    auto python = [](Argv argv) { return shown("/usr/bin/python3.11", argv); };
    EXPECT_EQ(python({"python3", "-u", "srv.py"}), "script srv.py");
    EXPECT_EQ(python({"python3", "-I", "-X", "dev", "-W", "error", "srv.py"}), "script srv.py");
    EXPECT_EQ(python({"python3", "-Xdev", "-Werror", "srv.py"}), "script srv.py");
    EXPECT_EQ(python({"python3", "-m", "mcp.server", "x"}), "module mcp.server");
    EXPECT_EQ(python({"python3", "-um", "mcp.server"}), "module mcp.server");
    EXPECT_EQ(python({"python3", "-mmcp"}), "module mcp");
    EXPECT_EQ(python({"python3", "-c", "import x", "srv.py"}), "none");
    EXPECT_EQ(python({"python3", "-"}), "none");
    EXPECT_EQ(python({"python3", "-m"}), "none");
}

}  // namespace
}  // namespace callgate
