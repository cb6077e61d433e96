// Shell completions: verbs, their options, and files, directories or process ids where an option takes one.
#include "pages.h"

namespace callgate {
namespace {

enum class Takes { nothing, word, file, directory, process };

Takes taken(const OptionText& option) {
    const std::string& value = option.is_positional ? option.names[0] : option.value;
    if (value.empty()) return Takes::nothing;
    if (value == "DIR") return Takes::directory;
    if (value == "PID") return Takes::process;
    if (value == "FILE" || value == "POLICY" || value == "AUDIT" || value == "SOCKET" || value == "PATH") return Takes::file;
    return Takes::word;
}

// For single quotes, in all three shells' sense of them.
std::string quoted(const std::string& text, const char* quote_in_quotes) {
    std::string safe = "'";
    for (char byte : text) {
        if (byte == '\'') {
            safe += quote_in_quotes;
        } else {
            safe += byte;
        }
    }
    return safe + "'";
}

std::string option_names(const VerbText& verb) {
    std::string list;
    for (const OptionText& option : verb.options)
        if (!option.is_positional)
            for (const std::string& name : option.names) list += name + " ";
    return list + "--help";
}

const OptionText* positional(const VerbText& verb) {
    for (const OptionText& option : verb.options)
        if (option.is_positional) return &option;
    return nullptr;
}

std::string verb_names(const CommandLineText& all) {
    std::string list;
    for (const VerbText& verb : all.verbs) list += verb.name + " ";
    return list + "--help";
}

const char* bash_values(Takes takes) {
    switch (takes) {
        case Takes::nothing: return nullptr;
        case Takes::word: return ":";
        case Takes::file: return "compopt -o filenames; COMPREPLY=($(compgen -f -- \"$word\"))";
        case Takes::directory: return "compopt -o filenames; COMPREPLY=($(compgen -d -- \"$word\"))";
        case Takes::process: return "COMPREPLY=($(compgen -W \"$(cd /proc && echo [0-9]*)\" -- \"$word\"))";
    }
    return nullptr;
}

const char* zsh_values(Takes takes) {
    switch (takes) {
        case Takes::nothing: return "";
        case Takes::word: return ": :";
        case Takes::file: return ": :_files";
        case Takes::directory: return ": :_files -/";
        case Takes::process: return ": :_pids";
    }
    return "";
}

const char* fish_values(Takes takes) {
    switch (takes) {
        case Takes::nothing: return "";
        case Takes::word: return " -x";
        case Takes::file: return " -r -F";
        case Takes::directory: return " -x -a '(__fish_complete_directories)'";
        case Takes::process: return " -x -a '(__fish_complete_pids)'";
    }
    return "";
}

std::string zsh_option(const OptionText& option, const std::string& name) {
    std::string description;
    for (char byte : option.purpose) {
        if (byte == '[' || byte == ']' || byte == ':' || byte == '\\') description += '\\';
        description += byte;
    }
    return std::string(option.is_repeatable ? "*" : "") + name + "[" + description + "]" + zsh_values(taken(option));
}

std::string bash_verb(const VerbText& verb) {
    std::string text = "        case $before in\n";
    for (const OptionText& option : verb.options) {
        const char* values = bash_values(taken(option));
        if (option.is_positional || values == nullptr) continue;
        std::string names;
        for (const std::string& name : option.names) names += (names.empty() ? "" : " | ") + name;
        text += "        " + names + ") " + values + " ;;\n";
    }
    const std::string options = "COMPREPLY=($(compgen -W '" + option_names(verb) + "' -- \"$word\"))";
    const OptionText* argument = positional(verb);
    text += "        *) ";
    if (argument == nullptr) {
        text += options;
    } else {
        text += "if [[ $word == -* ]]; then " + options + "; else " + bash_values(taken(*argument)) + "; fi";
    }
    return text + " ;;\n        esac ;;\n";
}

}  // namespace

std::string bash_completion(const CommandLineText& all) {
    std::string text =
        "# bash completion for callgate\n"
        "_callgate() {\n"
        "    local word=$2 before=$3\n"
        "    COMPREPLY=()\n"
        "    if ((COMP_CWORD == 1)); then\n"
        "        COMPREPLY=($(compgen -W " +
        quoted(verb_names(all), "") +
        " -- \"$word\"))\n"
        "        return\n"
        "    fi\n"
        "    case ${COMP_WORDS[1]} in\n";
    for (const VerbText& verb : all.verbs) text += "    " + verb.name + ")\n" + bash_verb(verb);
    return text + "    esac\n}\ncomplete -F _callgate callgate\n";
}

std::string zsh_completion(const CommandLineText& all) {
    std::string text =
        "#compdef callgate\n"
        "local -a verbs\nverbs=(\n";
    for (const VerbText& verb : all.verbs) text += "    " + quoted(verb.name + ":" + verb.purpose, "'\\''") + "\n";
    text +=
        ")\n"
        "if ((CURRENT == 2)); then\n"
        "    _describe verb verbs\n"
        "    return\n"
        "fi\n"
        "local verb=$words[2]\n"
        "shift words\n"
        "((CURRENT--))\n"
        "case $verb in\n";
    for (const VerbText& verb : all.verbs) {
        text += quoted(verb.name, "") + ")\n    _arguments";
        for (const OptionText& option : verb.options) {
            if (option.is_positional) {
                const std::string number = option.is_repeatable ? "*" : "1";
                text += " \\\n        " + quoted(number + zsh_values(taken(option)), "");
                continue;
            }
            for (const std::string& name : option.names) text += " \\\n        " + quoted(zsh_option(option, name), "'\\''");
        }
        text += " \\\n        '--help[Print this help message and exit]'\n    ;;\n";
    }
    return text + "esac\n";
}

std::string fish_completion(const CommandLineText& all) {
    std::string text = "# fish completion for callgate\ncomplete -c callgate -f\n";
    for (const VerbText& verb : all.verbs) {
        const std::string begin = "complete -c callgate -n ";
        text += begin + "__fish_use_subcommand -a " + quoted(verb.name, "\\'") + " -d " + quoted(verb.purpose, "\\'") + "\n";
        const std::string used = begin + quoted("__fish_seen_subcommand_from " + verb.name, "\\'");
        for (const OptionText& option : verb.options) {
            if (option.is_positional) {
                if (taken(option) == Takes::file) text += used + " -F\n";
                continue;
            }
            text += used;
            for (const std::string& name : option.names)
                text += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
            text += fish_values(taken(option));
            text += " -d " + quoted(option.purpose, "\\'") + "\n";
        }
    }
    return text;
}

}  // namespace callgate
