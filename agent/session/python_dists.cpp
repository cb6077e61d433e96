#include "session/python_dists.h"

#include <algorithm>
#include <cctype>
#include <functional>
#include <string_view>

#include "session/file_stamp.h"
#include "session/lru_cache.h"

namespace callgate {
namespace {

constexpr size_t kAnswersMax = 1024;
// Entries of one site-packages; what lies beyond is not searched.
constexpr size_t kSiteEntriesMax = 16384;
constexpr size_t kMetadataBytesMax = size_t{1} << 20;
// Of the largest wheels known RECORD has about 2 MiB.
constexpr size_t kRecordBytesMax = size_t{8} << 20;

LruCache<std::string, Package>& answers() {
    static LruCache<std::string, Package> cache(kAnswersMax);
    return cache;
}

std::string_view next_line(std::string_view& rest) {
    size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    return line;
}

std::string_view trim(std::string_view text) {
    constexpr std::string_view kBlank = " \t\r";
    size_t begin = text.find_first_not_of(kBlank);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

// PEP 503, cut at the version: "Mcp_Server.Git-1.0.dist-info" -> "mcp-server-git"
std::string normalised(std::string_view name) {
    std::string out;
    for (char c : name) {
        if (c == '_' || c == '.') c = '-';
        if (c == '-' && out.ends_with('-')) continue;
        out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return out;
}

struct Dist {
    std::string path;
    bool is_egg = false;
    bool is_likely = false;  // its name is the name looked for: searched first
};

std::vector<Dist> dists_of(const RootFs& fs, const std::string& site, const std::string& wanted) {
    std::vector<Dist> dists;
    for (const std::string& name : fs.list(site, kSiteEntriesMax)) {
        const bool is_egg = name.ends_with(".egg-info");
        if (!is_egg && !name.ends_with(".dist-info")) continue;
        std::string_view project = std::string_view(name).substr(0, name.find('-'));
        dists.push_back(Dist{site + "/" + name, is_egg, normalised(project) == wanted});
    }
    std::sort(dists.begin(), dists.end(),
              [](const Dist& a, const Dist& b) { return a.is_likely != b.is_likely ? a.is_likely : a.path < b.path; });
    return dists;
}

Package describe(const RootFs& fs, const Dist& dist) {
    Package package;
    const std::string text = fs.read(dist.path + (dist.is_egg ? "/PKG-INFO" : "/METADATA"), kMetadataBytesMax).value_or("");
    package.name = metadata_field(text, "Name");
    if (package.name.empty()) return package;
    package.ecosystem = "python";
    package.version = metadata_field(text, "Version");
    package.root = dist.path;
    return package;
}

// Asks `search` unless the answer for this state of the site directory is known.
Package remembered(const RootFs& fs, const std::string& site, const std::string& what, const std::function<Package()>& search) {
    std::optional<RootFs::Found> found = fs.find(site);
    if (!found || !S_ISDIR(found->status.st_mode)) return {};
    const std::string key = FileStamp::of(found->status).key(what + "\n" + site);
    if (std::optional<Package> package = answers().get(key)) return *package;
    Package package = search();
    if (!fs.is_spent()) answers().put(key, package);
    return package;
}

}  // namespace

Package find_script_owner(const RootFs& fs, const std::string& site, const std::string& script) {
    return remembered(fs, site, "script " + script, [&]() -> Package {
        for (const Dist& dist : dists_of(fs, site, normalised(script))) {
            const auto entry_points = fs.read(dist.path + "/entry_points.txt", kMetadataBytesMax);
            if (entry_points && has_console_script(*entry_points, script)) return describe(fs, dist);
            const auto record = fs.read(dist.path + "/RECORD", kRecordBytesMax);
            if (record && records_script(*record, script)) return describe(fs, dist);
        }
        return {};
    });
}

Package find_module_owner(const RootFs& fs, const std::string& site, const std::string& module) {
    return remembered(fs, site, "module " + module, [&]() -> Package {
        const std::string first = module.substr(0, module.find('.'));
        const Dist* by_first_component = nullptr;
        const std::vector<Dist> dists = dists_of(fs, site, normalised(first));
        for (const Dist& dist : dists) {
            const auto record = fs.read(dist.path + "/RECORD", kRecordBytesMax);
            const int rank = record ? record_rank(*record, module) : 0;
            if (rank == 2) return describe(fs, dist);
            bool owns_first = rank == 1;
            if (!owns_first) {
                const auto top_level = fs.read(dist.path + "/top_level.txt", kMetadataBytesMax);
                std::string_view rest = top_level ? std::string_view(*top_level) : std::string_view();
                while (!rest.empty() && !owns_first) owns_first = trim(next_line(rest)) == first;
            }
            if (owns_first && by_first_component == nullptr) by_first_component = &dist;
        }
        return by_first_component != nullptr ? describe(fs, *by_first_component) : Package{};
    });
}

bool has_console_script(const std::string& entry_points, const std::string& script) {
    bool in_section = false;
    std::string_view rest = entry_points;
    while (!rest.empty()) {
        std::string_view line = trim(next_line(rest));
        if (line.starts_with('[')) {
            in_section = line == "[console_scripts]" || line == "[gui_scripts]";
        } else if (in_section && trim(line.substr(0, line.find('='))) == script) {
            return true;
        }
    }
    return false;
}

bool records_script(const std::string& record, const std::string& script) {
    const std::string tail = "/bin/" + script;
    std::string_view rest = record;
    while (!rest.empty()) {
        std::string_view line = next_line(rest);
        const bool is_quoted = line.starts_with('"');
        if (is_quoted) line.remove_prefix(1);
        if (line.starts_with("../") && line.substr(0, line.find(is_quoted ? '"' : ',')).ends_with(tail)) return true;
    }
    return false;
}

int record_rank(const std::string& record, const std::string& module) {
    std::string path = module;
    std::replace(path.begin(), path.end(), '.', '/');
    const std::string_view first = std::string_view(path).substr(0, path.find('/'));
    int rank = 0;
    std::string_view rest = record;
    while (!rest.empty()) {
        std::string_view line = next_line(rest);
        if (line.starts_with('"')) line.remove_prefix(1);
        if (!line.starts_with(first)) continue;
        if (line.starts_with(path)) {
            std::string_view tail = line.substr(path.size());
            if (tail.starts_with(".py") || tail.starts_with("/__init__.py") || tail.starts_with("/__main__.py")) {
                return 2;
            }
        }
        std::string_view tail = line.substr(first.size());
        if (tail.starts_with('/') || tail.starts_with(".py,") || tail.starts_with(".cpython-")) rank = 1;
    }
    return rank;
}

std::string metadata_field(const std::string& metadata, const std::string& field) {
    std::string_view rest = metadata;
    while (!rest.empty()) {
        std::string_view line = next_line(rest);
        if (trim(line).empty()) break;  // the headers end here, the description follows
        if (line.starts_with(field) && line.substr(field.size()).starts_with(':')) {
            return std::string(trim(line.substr(field.size() + 1)));
        }
    }
    return {};
}

std::string pyproject_field(const std::string& pyproject, const std::string& key) {
    std::string poetry;
    std::string_view section;
    std::string_view rest = pyproject;
    while (!rest.empty()) {
        std::string_view line = trim(next_line(rest));
        if (line.starts_with('[')) {
            section = trim(line.substr(0, line.find('#')));
            continue;
        }
        if (section != "[project]" && section != "[tool.poetry]") continue;
        size_t equals = line.find('=');
        if (equals == std::string_view::npos || trim(line.substr(0, equals)) != key) continue;
        std::string_view value = trim(line.substr(equals + 1));
        if (value.size() < 2 || (value[0] != '"' && value[0] != '\'')) continue;
        size_t end = value.find(value[0], 1);
        if (end == std::string_view::npos) continue;
        std::string text(value.substr(1, end - 1));
        if (section == "[project]") return text;
        if (poetry.empty()) poetry = std::move(text);
    }
    return poetry;
}

}  // namespace callgate
