// Man pages and shell completions, made from the definitions that parse the command line, so that neither can
// say something else than `--help`. The build runs `callgate pages`; the agent never does.
//
//   VerbText{"tail", "Follow the audit log", …, {{{"-n"}, "N", "begin with the last N records", "10"}}}
//       -> callgate-tail(8) with ".It Fl n Ar N", and "-n" among what the shells offer after "callgate tail"
#pragma once
#include <string>
#include <vector>

namespace callgate {

struct OptionText {
    std::vector<std::string> names;  // "--verbose", "-v"; of a positional argument its one name
    std::string value;               // "DIR"; empty: a flag
    std::string purpose;
    std::string default_value;  // empty: none
    bool is_positional = false;
    bool is_required = false;
    bool is_repeatable = false;
};

struct VerbText {
    std::string name;
    std::string purpose;
    std::string footer;  // examples, remarks and exit codes, as `--help` ends
    std::vector<OptionText> options;
    std::vector<VerbText> verbs;  // below it: "reset" of "counters"
};

struct CommandLineText {
    std::string version;
    std::string date;  // as mdoc writes it: "November 28, 2026"
    std::string purpose;
    std::vector<VerbText> verbs;
};

// "callgate-tail"
std::string page_name(const VerbText& verb);
std::string man_page(const CommandLineText& all);                        // callgate(8)
std::string man_page(const CommandLineText& all, const VerbText& verb);  // callgate-VERB(8)
std::string bash_completion(const CommandLineText& all);
std::string zsh_completion(const CommandLineText& all);
std::string fish_completion(const CommandLineText& all);

// Writes man/*.8 and completions/{callgate.bash,_callgate,callgate.fish} below `directory`, which is made
// where it is absent; returns the program's exit code.
int write_pages(const CommandLineText& all, const std::string& directory);

}  // namespace callgate
