#include "policy/loader.h"

#include <algorithm>
#include <array>

#include "base/limits.h"
#include "policy/approval_loader.h"
#include "policy/glob.h"
#include "policy/limit_loader.h"
#include "policy/listen_address.h"
#include "policy/method_loader.h"
#include "policy/name_pattern.h"
#include "policy/nearest_key.h"
#include "policy/object_reader.h"

namespace callgate {
namespace {

using Kind = JsonValue::Kind;

constexpr size_t kCommandBytesMax = 4096;
constexpr size_t kUserBytesMax = 256;
constexpr size_t kListenBytesMax = 64;
constexpr size_t kPathBytesMax = 1024;
constexpr size_t kImageBytesMax = 1024;
constexpr size_t kUnitBytesMax = 512;

constexpr std::array<std::pair<std::string_view, bool>, 2> kDefaults = {{{"allow", true}, {"deny", false}}};
constexpr std::array<std::pair<std::string_view, Mode>, 3> kModes = {
    {{"enforce", Mode::enforce}, {"shadow", Mode::shadow}, {"observe", Mode::observe}}};
constexpr std::array<std::pair<std::string_view, OnBlind>, 2> kOnBlind = {{{"allow", OnBlind::allow}, {"kill", OnBlind::kill}}};
constexpr std::array<std::pair<std::string_view, Fail>, 2> kFail = {{{"open", Fail::open}, {"closed", Fail::closed}}};
constexpr std::array<std::pair<std::string_view, DenyAs>, 2> kDenyAs = {{{"result", DenyAs::result}, {"error", DenyAs::error}}};

bool is_pattern(std::string_view name) { return name.starts_with(kGlobPrefix); }

// Reports a name that can name no tool, or that its author surely meant to be a pattern.
bool check_tool_name(std::string_view name, size_t offset, const std::string& path, ProblemList& problems,
                     bool in_method = false) {
    std::string message;
    if (is_pattern(name)) {
        message = glob_problem(name.substr(kGlobPrefix.size()));
    } else if (name.empty()) {
        message = in_method ? "the name is empty" : "the name of a tool is empty";
    } else if (name == "*" && !in_method) {
        message = "\"*\" names no tool; write \"all_tools\" for rules of every call, \"glob:*\" for any tool";
    } else if (name.find_first_of(in_method ? "*" : "*?") != name.npos) {  // a URI may have a query
        message = in_quotes(name) + " would be an exact name; write " + in_quotes("glob:" + std::string(name)) + " for a pattern";
    }
    if (name.size() > kNameBytesMax) message = "longer than " + std::to_string(kNameBytesMax) + " bytes";
    if (has_control_character(name)) message = "the name contains a control character";
    if (message.empty()) return true;
    problems.add(offset, path, std::move(message));
    return false;
}

void load_version(const ObjectReader& reader) {
    if (!reader.require("version")) return;
    const std::optional<std::string> version = reader.text("version");
    if (version && *version != "1") {
        reader.problem("version", "version " + in_quotes(*version) + " is not supported by this version; expected \"1\"");
    }
}

void check_listener(const ObjectReader& reader, const ServerMatch& match) {
    if (!match.listen.empty() && !ListenAddress::parse(match.listen)) {
        reader.problem("listen",
                       "expected ADDRESS:PORT with a numeric address, such as \"127.0.0.1:3000\", "
                       "\"[::1]:3000\" or, for every address, \":3000\"");
    }
    if (match.path.empty()) return;
    if (match.path.front() != '/' || match.path.find_first_of("?#%\\") != match.path.npos) {
        reader.problem("path", "expected the path of a request as it is before any escaping, such as \"/mcp\"");
    }
    ServerMatch other = match;
    other.path.clear();
    if (other.empty()) reader.problem("path", "names no server; add \"listen\", \"package\" or another member");
}

std::string read_name_pattern(const ObjectReader& reader, std::string_view key, size_t bytes_max) {
    std::string text = reader.word(key, bytes_max).value_or("");
    if (std::string problem = NamePattern::of(text).problem(); !problem.empty()) reader.problem(key, std::move(problem));
    return text;
}

void load_server(const JsonValue& value, const std::string& path, ServerMatch& match, ProblemList& problems) {
    const ObjectReader reader(value, path, known::kServer, problems);
    match.package = reader.word("package", kNameBytesMax).value_or("");
    match.command = reader.word("command", kCommandBytesMax).value_or("");
    match.user = reader.word("user", kUserBytesMax).value_or("");
    match.listen = reader.word("listen", kListenBytesMax).value_or("");
    match.path = reader.word("path", kPathBytesMax).value_or("");
    match.exe_sha256 = reader.word("exe_sha256", kNameBytesMax).value_or("");
    match.image = read_name_pattern(reader, "image", kImageBytesMax);
    match.unit = read_name_pattern(reader, "unit", kUnitBytesMax);
    check_listener(reader, match);
    if (std::string problem = glob_problem(match.command); !match.command.empty() && !problem.empty()) {
        reader.problem("command", std::move(problem));
    }
    if (match.exe_sha256.empty()) return;
    const bool is_hash =
        match.exe_sha256.size() == 64 && match.exe_sha256.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
    if (!is_hash) reader.problem("exe_sha256", "expected 64 hex digits");
    for (char& c : match.exe_sha256) {
        if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
    }
}

void load_hide(const JsonValue& array, const std::string& path, CompiledPolicy& policy, ProblemList& problems) {
    for (size_t i = 0; i < array.items.size(); ++i) {
        const JsonValue& item = array.items[i];
        const std::string item_path = join_pointer(path, i);
        if (!expect(Kind::string, item, item_path, problems)) continue;
        policy.hides_any = true;
        if (item.string == "*") {
            policy.hide_all = true;
        } else if (!check_tool_name(item.string, item.offset, item_path, problems)) {
            continue;
        } else if (is_pattern(item.string)) {
            policy.hidden_patterns.push_back(item.string.substr(kGlobPrefix.size()));
        } else {
            policy.tools.exact[item.string].hidden = true;
        }
    }
}

// What may be called: tools, by their names and others, and methods.
void load_calls(const ObjectReader& reader, CompiledPolicy& policy) {
    ProblemList& problems = reader.problems();
    LoadBudget budget;
    if (const JsonValue* hide = reader.member("hide", Kind::array)) {
        load_hide(*hide, reader.path_of("hide"), policy, problems);
    }
    if (const JsonValue* all = reader.member("all_tools", Kind::object)) {
        load_tool(*all, reader.path_of("all_tools"), policy.all_tools, budget, problems, known::kAllTools);
    }
    if (const JsonValue* tools = reader.member("tools", Kind::object)) {
        load_entries(*tools, reader.path_of("tools"), "", policy.tools, budget, problems);
    }
    if (const JsonValue* aliases = reader.member("aliases", Kind::object)) {
        load_aliases(*aliases, reader.path_of("aliases"), policy, problems);
    }
    if (const JsonValue* methods = reader.member("methods", Kind::object)) {
        load_methods(*methods, reader.path_of("methods"), policy, budget, problems);
    }
    if (const JsonValue* carriers = reader.member("call_methods", Kind::object)) {
        load_call_methods(*carriers, reader.path_of("call_methods"), policy, problems);
    }
    policy.asks_for_annotations = budget.asks_for_annotations;
    if (const JsonValue* pin = reader.member("pin", Kind::boolean)) policy.pins_all = pin->boolean;
    policy.pins_any = policy.pins_all || budget.pins_any;
}

}  // namespace

void load_entries(const JsonValue& object, const std::string& path, std::string_view method, EntryTable& table,
                  LoadBudget& budget, ProblemList& problems) {
    for (size_t i = 0; i < object.items.size(); ++i) {
        const JsonKey& key = object.keys[i];
        const std::string entry_path = join_pointer(path, key.name);
        if (key.name == kCommentKey && object.items[i].kind == Kind::string) continue;
        ToolEntry entry;
        entry.key = key.name;
        entry.method = method;
        const bool named = check_tool_name(key.name, key.offset, entry_path, problems, !method.empty());
        load_tool(object.items[i], entry_path, entry, budget, problems, method.empty() ? known::kTool : known::kNameInMethod);
        if (!named) continue;
        entry.listed = true;
        if (is_pattern(key.name)) {
            table.patterns.push_back(std::move(entry));
        } else {
            ToolEntry& known = table.exact[key.name];
            entry.hidden = known.hidden;
            known = std::move(entry);
        }
    }
    // Equally specific patterns stay in the order of the file.
    std::stable_sort(table.patterns.begin(), table.patterns.end(), [](const ToolEntry& a, const ToolEntry& b) {
        return glob_rank(a.pattern()).is_before(glob_rank(b.pattern()));
    });
}

void load_document(const JsonValue& root, CompiledPolicy& policy, ProblemList& problems) {
    if (!expect(Kind::object, root, "", problems)) return;
    const ObjectReader reader(root, "", known::kPolicy, problems);
    load_version(reader);
    reader.require("default");
    policy.default_allow = reader.choice("default", kDefaults).value_or(false);
    policy.mode = reader.choice("mode", kModes).value_or(Mode::enforce);
    policy.on_blind = reader.choice("on_blind", kOnBlind).value_or(OnBlind::allow);
    policy.fail = reader.choice("fail", kFail).value_or(Fail::closed);
    policy.deny_as = reader.choice("deny_as", kDenyAs).value_or(DenyAs::result);
    for (std::string_view text : {std::string_view("description"), std::string_view("$schema"), kCommentKey}) {
        reader.member(text, Kind::string);
    }
    if (const JsonValue* server = reader.member("server", Kind::object)) {
        load_server(*server, reader.path_of("server"), policy.match, problems);
    }
    load_approvals(reader, policy.approvals);
    load_calls(reader, policy);
}

}  // namespace callgate
