#include "session/elf_package.h"

#include <fcntl.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "session/elf_file.h"
#include "session/file_stamp.h"
#include "session/lru_cache.h"

namespace callgate {
namespace {

constexpr size_t kProgramsMax = 1024;
constexpr size_t kNameBytesMax = 512;
// The lines about the program itself come first; those of its dependencies may be many.
constexpr size_t kBuildInfoBytesMax = size_t{64} << 10;
constexpr size_t kNoteBytesMax = size_t{16} << 10;
constexpr uint32_t kPackageNote = 0xcafe1a7e;
constexpr std::string_view kGoMagic = "\xff Go buildinf:";
constexpr size_t kGoHeadBytes = 32;
constexpr char kGoInline = 2, kGoBigEndian = 1;  // flags in byte 15
// Stands before and behind the text, so that it is found in a running program.
constexpr size_t kGoMarkBytes = 16;

LruCache<std::string, Package>& programs() {
    static LruCache<std::string, Package> cache(kProgramsMax);
    return cache;
}

// A varint length and so many bytes; false where the bytes end before it does, and then it has what there is.
bool take_text(std::string_view& bytes, std::string_view& text) {
    uint64_t length = 0;
    for (int shift = 0; shift < 63; shift += 7) {
        if (bytes.empty()) return false;
        const auto byte = static_cast<unsigned char>(bytes.front());
        bytes.remove_prefix(1);
        length |= uint64_t{byte & 0x7fu} << shift;
        if (byte < 0x80) {
            text = bytes.substr(0, length);
            bytes.remove_prefix(text.size());
            return text.size() == length;
        }
    }
    return false;
}

// A Go string: address and length; `info` holds the address of such a pair at `at`. Before Go 1.18.
std::string pointed_text(const ElfFile& elf, std::string_view info, size_t at) {
    uint64_t pair = 0, words[2] = {};
    if (info.size() < at + sizeof pair) return {};
    memcpy(&pair, info.data() + at, sizeof pair);
    const std::string bytes = elf.loaded(pair, sizeof words);
    if (bytes.size() < sizeof words) return {};
    memcpy(words, bytes.data(), sizeof words);
    return elf.loaded(words[0], std::min<uint64_t>(words[1], kBuildInfoBytesMax));
}

std::string without_marks(std::string text) { return text.size() > kGoMarkBytes ? text.substr(kGoMarkBytes) : std::string(); }

std::string go_text_of(const ElfFile& elf) {
    const std::string info = elf.section(".go.buildinfo", kBuildInfoBytesMax);
    if (!info.starts_with(kGoMagic) || info.size() < kGoHeadBytes) return {};
    if (info[15] & kGoInline) return go_module_text(info);
    if (info[14] != sizeof(uint64_t) || (info[15] & kGoBigEndian)) return {};
    return without_marks(pointed_text(elf, info, 16 + sizeof(uint64_t)));
}

// The value behind "KEY\t" at the begin of a line, up to the next tab or the line's end.
std::string_view field(std::string_view text, std::string_view key, size_t which) {
    for (size_t at = 0; at < text.size();) {
        const std::string_view line = text.substr(at, text.find('\n', at) - at);
        at += line.size() + 1;
        if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != '\t') continue;
        std::string_view rest = line.substr(key.size() + 1);
        for (size_t i = 0; i < which; ++i) {
            const size_t tab = rest.find('\t');
            if (tab == rest.npos) return {};
            rest.remove_prefix(tab + 1);
        }
        return rest.substr(0, rest.find('\t'));
    }
    return {};
}

std::string short_text(const nlohmann::json& object, const char* key) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_string()) return {};
    std::string text = found->get<std::string>();
    return text.size() <= kNameBytesMax ? text : std::string();
}

Package named_by_file(const std::string& exe) {
    std::string name = base_name(exe);
    constexpr std::string_view kDeleted = " (deleted)";
    if (name.ends_with(kDeleted)) name.resize(name.size() - kDeleted.size());
    return Package{name.empty() ? "" : "program", name, {}, {}};
}

Package read_program(int fd, const std::string& exe) {
    const std::optional<ElfFile> elf = ElfFile::open(fd);
    if (!elf) return named_by_file(exe);
    if (Package go = go_package(go_text_of(*elf)); !go.name.empty()) return go;
    if (Package noted = note_package(elf->note("FDO", kPackageNote, kNoteBytesMax)); !noted.name.empty()) return noted;
    return named_by_file(exe);
}

}  // namespace

std::string go_module_text(std::string_view build_info) {
    if (build_info.size() < kGoHeadBytes) return {};
    build_info.remove_prefix(kGoHeadBytes);
    std::string_view version, module;
    if (!take_text(build_info, version)) return {};
    (void)take_text(build_info, module);  // of a long one the begin is enough
    return without_marks(std::string(module));
}

Package go_package(std::string_view text) {
    std::string_view name = field(text, "mod", 0), version = field(text, "mod", 1);
    if (name.empty()) name = field(text, "path", 0);
    if (name.empty() || name.size() > kNameBytesMax) return {};
    return Package{"go", std::string(name), std::string(version.substr(0, kNameBytesMax)), {}};
}

Package note_package(const std::string& note) {
    // The text ends with a NUL.
    const nlohmann::json object = nlohmann::json::parse(note.substr(0, note.find('\0')), nullptr, false);
    if (!object.is_object()) return {};
    Package package{short_text(object, "type"), short_text(object, "name"), short_text(object, "version"), {}};
    if (package.ecosystem.empty()) package.ecosystem = "program";
    return package.name.empty() ? Package{} : package;
}

Package elf_package(const RootFs& fs, const std::string& exe) {
    const std::optional<RootFs::Found> found = fs.find(exe);
    if (!found || !S_ISREG(found->status.st_mode)) return named_by_file(exe);
    const std::string key = FileStamp::of(found->status).key(exe);
    if (std::optional<Package> known = programs().get(key)) return *known;
    const Fd fd = RootFs::open_for_reading(*found);
    const Package package = fd ? read_program(fd.get(), exe) : named_by_file(exe);
    programs().put(key, package);
    return package;
}

}  // namespace callgate
