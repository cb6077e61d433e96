#include "pages.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "cli.h"

namespace callgate {
namespace {

bool make_directory(const std::string& path) {
    if (::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return true;
    print_error("mkdir " + path + ": " + strerror(errno));
    return false;
}

bool write_file(const std::string& path, const std::string& text) {
    FILE* file = fopen(path.c_str(), "we");
    bool is_written = file != nullptr && fwrite(text.data(), 1, text.size(), file) == text.size();
    if (file != nullptr) is_written = fclose(file) == 0 && is_written;
    if (!is_written) print_error("write " + path + ": " + strerror(errno));
    return is_written;
}

}  // namespace

int write_pages(const CommandLineText& all, const std::string& directory) {
    const std::string man = directory + "/man/", completions = directory + "/completions/";
    bool is_done = make_directory(directory) && make_directory(man) && make_directory(completions);
    is_done = is_done && write_file(man + "callgate.8", man_page(all));
    for (const VerbText& verb : all.verbs) is_done = is_done && write_file(man + page_name(verb) + ".8", man_page(all, verb));
    is_done = is_done && write_file(completions + "callgate.bash", bash_completion(all)) &&
              write_file(completions + "_callgate", zsh_completion(all)) &&
              write_file(completions + "callgate.fish", fish_completion(all));
    return is_done ? kExitDone : kExitInternal;
}

}  // namespace callgate
