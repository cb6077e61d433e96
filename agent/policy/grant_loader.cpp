// Loading grants.json: every mistake with its place, nothing thrown.
#include "policy/grant_loader.h"

#include <algorithm>

#include "base/limits.h"
#include "policy/nearest_key.h"
#include "policy/object_reader.h"
#include "policy/revision.h"

namespace callgate {
namespace {

using Kind = JsonValue::Kind;

constexpr size_t kPathBytesMax = 4096;
constexpr size_t kGrantNameBytesMax = 128;
constexpr std::array<std::pair<std::string_view, bool>, 2> kDefaults = {{{"allow", false}, {"deny", true}}};

bool is_word_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

// Names are parts of counters' keys and of paths in conditions, and are shown on terminals. None is the key of a default
// grant, which has a colon.
std::string name_problem(std::string_view name, std::string_view more) {
    const auto is_known = [&](char c) { return is_word_character(c) || more.find(c) != more.npos; };
    if (name.empty()) return "the name is empty";
    if (name.size() > kGrantNameBytesMax) return "longer than " + std::to_string(kGrantNameBytesMax) + " bytes";
    if (std::all_of(name.begin(), name.end(), is_known)) return {};
    return "a name has only letters, digits, \"-\", \"_\"" + std::string(more.empty() ? "" : " and \".\"");
}

NamePattern read_pattern(const ObjectReader& reader, std::string_view key, size_t bytes_max) {
    const std::optional<std::string> text = reader.word(key, bytes_max);
    if (!text) return {};
    NamePattern made = NamePattern::of(*text);
    if (std::string problem = made.problem(); !problem.empty()) reader.problem(key, std::move(problem));
    return made;
}

std::string read_hash(const ObjectReader& reader) {
    std::string hash = reader.word("exe_sha256", kNameBytesMax).value_or("");
    const bool is_hash = hash.size() == 64 && hash.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
    if (!hash.empty() && !is_hash) reader.problem("exe_sha256", "expected 64 hex digits");
    std::transform(hash.begin(), hash.end(), hash.begin(), [](char c) { return c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c; });
    return hash;
}

// One text, or a list of them.
std::vector<NamePattern> read_parents(const ObjectReader& reader, const JsonValue& match) {
    const JsonValue* value = match.find("parents");
    if (value == nullptr) return {};
    if (value->kind != Kind::array) {
        NamePattern one = read_pattern(reader, "parents", kPathBytesMax);
        return one.given() ? std::vector<NamePattern>{std::move(one)} : std::vector<NamePattern>();
    }
    std::vector<NamePattern> parents;
    if (value->items.empty()) reader.problem("parents", "is empty; name a parent, or leave the key out");
    if (value->items.size() > kGrantParentsMax) {
        reader.problem("parents", "more than " + std::to_string(kGrantParentsMax) + ", which no chain is compared with");
    }
    for (size_t i = 0; i < value->items.size(); ++i) {
        const JsonValue& item = value->items[i];
        const std::string path = join_pointer(reader.path_of("parents"), i);
        if (!expect(Kind::string, item, path, reader.problems())) continue;
        NamePattern made = NamePattern::of(item.string);
        std::string problem = made.problem();
        if (item.string.empty() || item.string.size() > kPathBytesMax || has_control_character(item.string)) {
            problem = "expected the path or the name of a program";
        }
        if (!problem.empty()) reader.problems().add(item.offset, path, std::move(problem));
        parents.push_back(std::move(made));
    }
    return parents;
}

GrantMatch read_match(const JsonValue& value, const std::string& path, ProblemList& problems) {
    const ObjectReader reader(value, path, known::kGrantMatch, problems);
    GrantMatch match;
    match.user = read_pattern(reader, "user", kNameBytesMax);
    match.group = read_pattern(reader, "group", kNameBytesMax);
    match.exe = read_pattern(reader, "exe", kPathBytesMax);
    match.exe_sha256 = read_hash(reader);
    match.parents = read_parents(reader, value);
    match.cgroup = read_pattern(reader, "cgroup", kPathBytesMax);
    match.unit = read_pattern(reader, "unit", kPathBytesMax);
    match.container = read_pattern(reader, "container", kPathBytesMax);
    match.client = read_pattern(reader, "client", kNameBytesMax);
    if (match.group.is_pattern) reader.problem("group", "is no pattern; name one group");
    if (value.keys.empty()) reader.problem("", "matches nobody; say who the caller is, or leave the grant out");
    return match;
}

std::optional<GrantLabel> read_label(const JsonKey& key, const JsonValue& value, const std::string& path, ProblemList& problems) {
    std::string problem = name_problem(key.name, "");
    if (key.name == "key" || key.name == "name")
        problem = in_quotes(key.name) + " is what the grant is called; choose another name";
    GrantLabel label{key.name, ValueKind::string, value.string};
    switch (value.kind) {
        case Kind::string:
            if (value.string.size() > kNameBytesMax) problem = "longer than " + std::to_string(kNameBytesMax) + " bytes";
            break;
        case Kind::integer:
            label.text = std::to_string(value.integer);
            label.kind = ValueKind::number;
            break;
        case Kind::number: label.kind = ValueKind::number; break;
        case Kind::boolean:
            label.text = value.boolean ? "true" : "false";
            label.kind = ValueKind::boolean;
            break;
        case Kind::null:
        case Kind::array:
        case Kind::object: problem = "expected a string, a number or a boolean, found " + std::string(name(value.kind));
    }
    if (problem.empty()) return label;
    problems.add(value.offset, path, std::move(problem));
    return std::nullopt;
}

Grant read_grant(const JsonKey& key, const JsonValue& value, const std::string& path, ProblemList& problems) {
    Grant grant;
    grant.name = key.name;
    if (std::string problem = name_problem(key.name, "."); !problem.empty()) problems.add(key.offset, path, std::move(problem));
    const ObjectReader reader(value, path, known::kGrant, problems);
    reader.text("description");
    reader.text(kCommentKey);
    reader.require("match");
    if (const JsonValue* match = reader.member("match", Kind::object))
        grant.match = read_match(*match, reader.path_of("match"), problems);
    if (const JsonValue* labels = reader.member("labels", Kind::object)) {
        grant.labels = load_labels(*labels, reader.path_of("labels"), problems);
    }
    return grant;
}

}  // namespace

std::vector<GrantLabel> load_labels(const JsonValue& object, const std::string& path, ProblemList& problems) {
    std::vector<GrantLabel> labels;
    if (object.items.size() > kGrantLabelsMax) {
        problems.add(object.offset, path, "more than " + std::to_string(kGrantLabelsMax) + " labels");
        return labels;
    }
    for (size_t i = 0; i < object.items.size(); ++i) {
        const JsonKey& key = object.keys[i];
        std::optional<GrantLabel> label = read_label(key, object.items[i], join_pointer(path, key.name), problems);
        if (label) labels.push_back(std::move(*label));
    }
    return labels;
}

bool is_grants_file(std::string_view path, std::string_view text) {
    if (path.substr(path.rfind('/') + 1) == "grants.json") return true;
    ProblemList ignored;
    const std::optional<JsonValue> root = parse_json(text, ignored);
    return root && root->kind == Kind::object && root->find("grants") && !root->find("tools") && !root->find("server");
}

class GrantLoader {
  public:
    static void load(const JsonValue& root, GrantTable& table, ProblemList& problems) {
        if (!expect(Kind::object, root, "", problems)) return;
        const ObjectReader reader(root, "", known::kGrants, problems);
        reader.require("version");
        const std::optional<std::string> version = reader.text("version");
        if (version && *version != "1")
            reader.problem("version", "version " + in_quotes(*version) + " is not supported; expected \"1\"");
        for (const std::string_view text : {std::string_view("description"), std::string_view("$schema"), kCommentKey}) {
            reader.member(text, Kind::string);
        }
        table.denies_others_ = reader.choice("default", kDefaults).value_or(false);
        reader.require("grants");
        const JsonValue* grants = reader.member("grants", Kind::object);
        if (grants == nullptr) return;
        if (grants->items.size() > kGrantsMax) {
            return reader.problem("grants",
                                  "more than " + std::to_string(kGrantsMax) + ", each of which is asked about each caller");
        }
        for (size_t i = 0; i < grants->items.size(); ++i) add(grants->keys[i], grants->items[i], reader, table, problems);
    }

    static void set_revision(GrantTable& table, std::string_view text) { table.revision_ = revision_of(text); }

  private:
    static void add(const JsonKey& key, const JsonValue& value, const ObjectReader& reader, GrantTable& table,
                    ProblemList& problems) {
        const std::string path = join_pointer(reader.path_of("grants"), key.name);
        if (key.name == kCommentKey && value.kind == Kind::string) return;
        if (!expect(Kind::object, value, path, problems)) return;
        Grant grant = read_grant(key, value, path, problems);
        for (const Grant& other : table.grants_) {
            const bool is_same = other.match == grant.match && !(grant.match == GrantMatch());
            if (is_same)
                problems.add(key.offset, path, "matches whom " + in_quotes(other.name) + " matches; nobody could have either");
        }
        table.grants_.push_back(std::move(grant));
    }
};

std::shared_ptr<const GrantTable> GrantTable::load(std::string_view text, std::string_view file,
                                                   std::vector<PolicyProblem>& problems) {
    ProblemList found;
    auto table = std::make_shared<GrantTable>();
    if (const std::optional<JsonValue> root = parse_json(text, found)) GrantLoader::load(*root, *table, found);
    if (!found.empty()) {
        found.report(text, file, problems);
        return nullptr;
    }
    GrantLoader::set_revision(*table, text);
    return table;
}

}  // namespace callgate
