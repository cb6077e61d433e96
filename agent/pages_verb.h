// `callgate pages`, a verb that the build uses and `--help` does not list.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>

namespace callgate {

void add_pages(CLI::App& app, std::function<int()>& action);

}  // namespace callgate
