// Shell completions: verbs, those below them, their options, and files, directories or process ids where an option takes one.
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

std::string verb_names(const std::vector<VerbText>& verbs, const char* separator = " ") {
    std::string list;
    for (const VerbText& verb : verbs) list += (list.empty() ? "" : separator) + verb.name;
    return list;
}

// What may stand where no value is meant.
std::string words(const VerbText& verb) {
    return verb.verbs.empty() ? option_names(verb) : verb_names(verb.verbs) + " " + option_names(verb);
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

std::string bash_options(const VerbText& verb) {
    std::string text = "        case $before in\n";
    for (const OptionText& option : verb.options) {
        const char* values = bash_values(taken(option));
        if (option.is_positional || values == nullptr) continue;
        std::string names;
        for (const std::string& name : option.names) names += (names.empty() ? "" : " | ") + name;
        text += "        " + names + ") " + values + " ;;\n";
    }
    const std::string options = "COMPREPLY=($(compgen -W '" + words(verb) + "' -- \"$word\"))";
    const OptionText* argument = positional(verb);
    text += "        *) ";
    if (argument == nullptr) {
        text += options;
    } else {
        text += "if [[ $word == -* ]]; then " + options + "; else " + bash_values(taken(*argument)) + "; fi";
    }
    return text + " ;;\n        esac ;;\n";
}

std::string bash_verb(const VerbText& verb) {
    if (verb.verbs.empty()) return bash_options(verb);
    std::string text =
        "        for each in \"${COMP_WORDS[@]:2:COMP_CWORD-2}\"; do\n"
        "            case $each in " +
        verb_names(verb.verbs, " | ") +
        ") below=$each ;; esac\n"
        "        done\n"
        "        case $below in\n";
    for (const VerbText& below : verb.verbs) text += "        " + below.name + ")\n" + bash_options(below);
    return text + "        *)\n" + bash_options(verb) + "        esac ;;\n";
}

std::string zsh_names(const std::vector<VerbText>& verbs) {
    std::string list;
    for (const VerbText& verb : verbs) list += "    " + quoted(verb.name + ":" + verb.purpose, "'\\''") + "\n";
    return list;
}

// What _arguments is told of a verb, but for the verbs below it.
std::string zsh_options(const VerbText& verb) {
    std::string text;
    for (const OptionText& option : verb.options) {
        if (option.is_positional) {
            const std::string number = option.is_repeatable ? "*" : "1";
            text += " \\\n        " + quoted(number + zsh_values(taken(option)), "");
            continue;
        }
        for (const std::string& name : option.names) text += " \\\n        " + quoted(zsh_option(option, name), "'\\''");
    }
    return text + " \\\n        '--help[Print this help message and exit]'";
}

std::string zsh_verb(const VerbText& verb) {
    std::string text = quoted(verb.name, "") + ")\n";
    if (verb.verbs.empty()) return text + "    _arguments" + zsh_options(verb) + "\n    ;;\n";
    text += "    verbs=(\n" + zsh_names(verb.verbs) + "    )\n    _arguments -C" + zsh_options(verb) +
            " \\\n        '1: :->verb' \\\n        '*:: :->rest'\n"
            "    case $state in\n"
            "    verb) _describe verb verbs ;;\n"
            "    rest)\n"
            "    case $words[1] in\n";
    for (const VerbText& below : verb.verbs) {
        text += "    " + quoted(below.name, "") + ")\n    _arguments" + zsh_options(below) + "\n    ;;\n";
    }
    return text + "    esac ;;\n    esac\n    ;;\n";
}

// Those of a verb where `when` says that it is the one.
std::string fish_options(const VerbText& verb, const std::string& when) {
    std::string text;
    const std::string used = "complete -c callgate -n " + quoted(when, "\\'");
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
    return text;
}

std::string fish_verb(const VerbText& verb) {
    const std::string seen = "__fish_seen_subcommand_from ";
    if (verb.verbs.empty()) return fish_options(verb, seen + verb.name);
    const std::string alone = seen + verb.name + "; and not " + seen + verb_names(verb.verbs);
    std::string text = fish_options(verb, alone);
    for (const VerbText& below : verb.verbs) {
        text += "complete -c callgate -n " + quoted(alone, "\\'") + " -a " + quoted(below.name, "\\'") + " -d " +
                quoted(below.purpose, "\\'") + "\n";
        text += fish_options(below, seen + verb.name + "; and " + seen + below.name);
    }
    return text;
}

}  // namespace

std::string bash_completion(const CommandLineText& all) {
    std::string text =
        "# bash completion for callgate\n"
        "_callgate() {\n"
        "    local word=$2 before=$3 below= each\n"
        "    COMPREPLY=()\n"
        "    if ((COMP_CWORD == 1)); then\n"
        "        COMPREPLY=($(compgen -W " +
        quoted(verb_names(all.verbs) + " --help", "") +
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
        "local curcontext=$curcontext state line\n"
        "local -A opt_args\n"
        "local -a verbs\nverbs=(\n" +
        zsh_names(all.verbs) +
        ")\n"
        "if ((CURRENT == 2)); then\n"
        "    _describe verb verbs\n"
        "    return\n"
        "fi\n"
        "local verb=$words[2]\n"
        "shift words\n"
        "((CURRENT--))\n"
        "case $verb in\n";
    for (const VerbText& verb : all.verbs) text += zsh_verb(verb);
    return text + "esac\n";
}

std::string fish_completion(const CommandLineText& all) {
    std::string text = "# fish completion for callgate\ncomplete -c callgate -f\n";
    for (const VerbText& verb : all.verbs) {
        text += "complete -c callgate -n __fish_use_subcommand -a " + quoted(verb.name, "\\'") + " -d " +
                quoted(verb.purpose, "\\'") + "\n" + fish_verb(verb);
    }
    return text;
}

}  // namespace callgate
