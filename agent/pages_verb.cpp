// What CLI11 knows of the command line, as text.
#include "pages_verb.h"

#include "pages.h"

namespace callgate {
namespace {

struct PagesOptions {
    std::string directory;
    std::string date;
};

// "PID:INT in [1 - 4194304]", as CLI11 adds the check's name, is "PID".
std::string placeholder(const std::string& type_name) { return type_name.substr(0, type_name.find(':')); }

OptionText option_text(const CLI::Option& option) {
    OptionText text;
    text.is_positional = option.get_positional();
    for (const std::string& name : option.get_lnames()) text.names.push_back("--" + name);
    for (const std::string& name : option.get_snames()) text.names.push_back("-" + name);
    if (text.is_positional) text.names = {option.get_name(true)};
    if (!text.is_positional && option.get_items_expected_max() > 0) text.value = placeholder(option.get_type_name());
    text.purpose = option.get_description();
    text.default_value = option.get_default_str();
    text.is_required = option.get_required();
    text.is_repeatable =
        option.get_items_expected_max() > 1 || option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll;
    return text;
}

VerbText verb_text(const CLI::App& verb) {
    VerbText text{verb.get_name(), verb.get_description(), verb.get_footer(), {}, {}};
    for (const CLI::Option* option : verb.get_options())
        if (option != verb.get_help_ptr()) text.options.push_back(option_text(*option));
    for (const CLI::App* below : verb.get_subcommands([](const CLI::App*) { return true; }))
        text.verbs.push_back(verb_text(*below));
    return text;
}

CommandLineText command_line_text(const CLI::App& app, const std::string& date) {
    CommandLineText text{CALLGATE_VERSION, date, app.get_description(), {}};
    for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; }))
        if (!verb->get_group().empty()) text.verbs.push_back(verb_text(*verb));
    return text;
}

}  // namespace

void add_pages(CLI::App& app, std::function<int()>& action) {
    auto options = std::make_shared<PagesOptions>();
    CLI::App* command = app.add_subcommand("pages", "Write the man pages and shell completions below DIR");
    command->group("");
    command->add_option("DIR", options->directory)->required()->type_name("");
    command->add_option("--date", options->date, "as \"November 28, 2026\"")->required();
    command->callback([options, &app, &action] {
        action = [options, &app] { return write_pages(command_line_text(app, options->date), options->directory); };
    });
}

}  // namespace callgate
