// Man pages in mdoc(7).
#include <algorithm>
#include <sstream>

#include "lifecycle/config.h"
#include "pages.h"

namespace callgate {
namespace {

// Text as it is: no escape sequences, no macro at the beginning of a line, hyphens that can be copied.
std::string roff(const std::string& text) {
    std::string safe;
    for (char byte : text) {
        if ((safe.empty() || safe.back() == '\n') && (byte == '.' || byte == '\'')) safe += "\\&";
        if (byte == '\\') {
            safe += "\\e";
        } else if (byte == '-') {
            safe += "\\-";
        } else {
            safe += byte;
        }
    }
    return safe;
}

// Each sentence on its own line, as mdoc asks for.
std::string prose(const std::string& text) {
    std::string lines;
    for (size_t i = 0; i < text.size(); ++i) {
        const bool is_end = i > 0 && text[i] == ' ' && text[i - 1] == '.';
        lines += is_end ? '\n' : text[i];
    }
    if (!lines.empty() && lines.back() != '.') lines += '.';
    return roff(lines) + "\n";
}

std::string capitalized(std::string text) {
    if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
    return text;
}

// "--config" is Fl -config
std::string flag(const std::string& name) { return "Fl " + roff(name.substr(1)); }

std::string head(const CommandLineText& all, const std::string& name) {
    std::string title;
    for (char byte : name) title += byte >= 'a' && byte <= 'z' ? static_cast<char>(byte - 'a' + 'A') : byte;
    return ".\\\" Generated from the definitions of the command line.\n.Dd " + all.date + "\n.Dt " + title + " 8\n.Os callgate " +
           all.version + "\n.Sh NAME\n.Nm " + name + "\n";
}

std::string synopsis(const VerbText& verb) {
    std::string text = ".Sh SYNOPSIS\n.Nm callgate\n.Cm " + verb.name + "\n";
    for (const OptionText& option : verb.options) {
        if (option.is_positional) continue;
        text += ".Op " + flag(option.names[0]) + (option.value.empty() ? "" : " Ar " + option.value) + "\n";
    }
    for (const OptionText& option : verb.options) {
        if (!option.is_positional) continue;
        const std::string dots = option.is_repeatable ? " ..." : "";
        text += (option.is_required ? ".Ar " : ".Op Ar ") + option.names[0] + dots + "\n";
    }
    return text;
}

std::string option_list(const VerbText& verb) {
    std::string text;
    for (const OptionText& option : verb.options) {
        text += ".It ";
        for (size_t i = 0; i < option.names.size(); ++i) {
            if (i > 0) text += " , ";
            text += option.is_positional ? "Ar " + option.names[i] : flag(option.names[i]);
        }
        if (!option.value.empty()) text += " Ar " + option.value;
        text += "\n" + prose(capitalized(option.purpose));
        if (!option.default_value.empty()) text += "The default is " + roff(option.default_value) + ".\n";
    }
    return text.empty() ? "" : ".Bl -tag -width Ds\n" + text + ".El\n";
}

// What stands below the options of `--help`.
struct Footer {
    std::string examples;  // lines that are indented there
    std::string remarks;
    std::string exit_codes;
};

Footer parse_footer(const std::string& text) {
    static const std::string kExamples = "Examples:", kCodes = "Exit codes: ";
    Footer footer;
    bool in_codes = false;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(kCodes)) {
            in_codes = true;
            footer.exit_codes += line.substr(kCodes.size());
        } else if (in_codes) {
            footer.exit_codes += " " + line.substr(std::min(line.size(), line.find_first_not_of(' ')));
        } else if (line.starts_with("  ")) {
            footer.examples += line.substr(2) + "\n";
        } else if (line != kExamples) {
            footer.remarks += (footer.remarks.empty() ? "" : " ") + line;
        }
    }
    return footer;
}

// "0 done; 1 the answer is no" as a list
std::string exit_status(const std::string& codes) {
    std::string text = ".Sh EXIT STATUS\n.Bl -tag -width Ds\n";
    std::istringstream parts(codes);
    for (std::string part; std::getline(parts, part, ';');) {
        part = part.substr(std::min(part.size(), part.find_first_not_of(' ')));
        const size_t space = part.find(' ');
        if (space == std::string::npos) continue;
        text += ".It " + roff(part.substr(0, space)) + "\n" + prose(capitalized(part.substr(space + 1)));
    }
    return text + ".El\n";
}

std::string files() {
    const Config config;
    const std::pair<std::string, std::string> list[] = {
        {"/etc/callgate/callgate.json", "The agent's configuration, see\n.Xr callgate.json 5 .\n"},
        {"/etc/callgate/policies.d/*.json, *.yaml", "Policies, see\n.Xr callgate-policy 5 .\n"},
        {"/usr/share/callgate/policies", "Policies for published servers, to be copied from.\n"},
        {config.audit_file, "The audit log, readable by root only.\n"},
        {config.control_socket, "Where the other verbs ask the agent.\n"},
        {config.state_directory, "What limits have counted, and the secret under which arguments are hashed.\n"}};
    std::string text = ".Sh FILES\n.Bl -tag -width Ds\n";
    for (const auto& [path, meaning] : list) text += ".It Pa " + roff(path) + "\n" + meaning;
    return text + ".El\n";
}

// By section, then by name, as mdoc wants them. Each verb's page names callgate(8), which names all verbs.
std::string see_also(const CommandLineText& all, bool with_verbs) {
    std::vector<std::string> names;
    if (with_verbs) {
        for (const VerbText& verb : all.verbs) names.push_back(page_name(verb));
        std::sort(names.begin(), names.end());
    } else {
        names.push_back("callgate");
    }
    std::string text = ".Sh SEE ALSO\n.Xr callgate-policy 5 ,\n.Xr callgate.json 5";
    for (const std::string& name : names) text += " ,\n.Xr " + name + " 8";
    return text + "\n";
}

}  // namespace

std::string page_name(const VerbText& verb) { return "callgate-" + verb.name; }

std::string man_page(const CommandLineText& all) {
    std::string text = head(all, "callgate") + ".Nd govern the MCP traffic of this host\n";
    text += ".Sh SYNOPSIS\n.Nm callgate\n.Ar verb\n.Op Ar option ...\n.Sh DESCRIPTION\n" + prose(all.purpose);
    text += ".Pp\nThe verbs are:\n.Bl -tag -width Ds\n";
    for (const VerbText& verb : all.verbs) text += ".It Xr " + page_name(verb) + " 8\n" + prose(verb.purpose);
    text += ".El\n" + files();
    if (!all.verbs.empty()) text += exit_status(parse_footer(all.verbs[0].footer).exit_codes);
    return text + see_also(all, true);
}

std::string man_page(const CommandLineText& all, const VerbText& verb) {
    const Footer footer = parse_footer(verb.footer);
    std::string purpose = verb.purpose;
    if (!purpose.empty() && purpose[0] >= 'A' && purpose[0] <= 'Z') purpose[0] = static_cast<char>(purpose[0] - 'A' + 'a');
    std::string text = head(all, page_name(verb)) + ".Nd " + roff(purpose) + "\n" + synopsis(verb);
    text += ".Sh DESCRIPTION\n" + prose(verb.purpose);
    if (!footer.remarks.empty()) text += prose(footer.remarks);
    text += option_list(verb);
    for (const VerbText& below : verb.verbs)
        text += ".Ss " + roff(verb.name + " " + below.name) + "\n" + prose(below.purpose) + option_list(below);
    text += exit_status(footer.exit_codes);
    if (!footer.examples.empty()) text += ".Sh EXAMPLES\n.Bd -literal\n" + roff(footer.examples) + ".Ed\n";
    return text + see_also(all, false);
}

}  // namespace callgate
