#include "session/elf_file.h"

#include <elf.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace callgate {
namespace {

// Linkers make some dozens; a file with more is none that we need to understand.
constexpr size_t kHeadersMax = 1024;
constexpr size_t kNamesBytesMax = size_t{64} << 10;
constexpr size_t kNotesBytesMax = size_t{64} << 10;

template <typename T>
std::vector<T> table(const std::string& bytes) {
    std::vector<T> entries(bytes.size() / sizeof(T));
    if (!entries.empty()) memcpy(entries.data(), bytes.data(), entries.size() * sizeof(T));
    return entries;
}

size_t padded(size_t size) { return (size + 3) & ~size_t{3}; }

}  // namespace

std::string ElfFile::read(uint64_t offset, uint64_t size) const {
    std::string bytes(size, '\0');
    size_t filled = 0;
    while (filled < bytes.size() && offset <= INT64_MAX - bytes.size()) {
        const ssize_t got = ::pread(fd_, bytes.data() + filled, bytes.size() - filled, static_cast<off_t>(offset + filled));
        if (got <= 0) break;
        filled += static_cast<size_t>(got);
    }
    bytes.resize(filled);
    return bytes;
}

std::optional<ElfFile> ElfFile::open(int fd) {
    ElfFile file(fd);
    const std::string start = file.read(0, sizeof(Elf64_Ehdr));
    Elf64_Ehdr head;
    if (start.size() < sizeof head) return std::nullopt;
    memcpy(&head, start.data(), sizeof head);
    const bool is_readable = memcmp(head.e_ident, ELFMAG, SELFMAG) == 0 && head.e_ident[EI_CLASS] == ELFCLASS64 &&
                             head.e_ident[EI_DATA] == ELFDATA2LSB;
    if (!is_readable) return std::nullopt;
    if (head.e_phentsize == sizeof(Elf64_Phdr) && head.e_phnum <= kHeadersMax) {
        for (const Elf64_Phdr& each : table<Elf64_Phdr>(file.read(head.e_phoff, head.e_phnum * sizeof(Elf64_Phdr)))) {
            file.segments_.push_back({each.p_type, each.p_offset, each.p_filesz, each.p_vaddr});
        }
    }
    if (head.e_shentsize != sizeof(Elf64_Shdr) || head.e_shnum > kHeadersMax || head.e_shstrndx >= head.e_shnum) return file;
    const auto sections = table<Elf64_Shdr>(file.read(head.e_shoff, head.e_shnum * sizeof(Elf64_Shdr)));
    if (head.e_shstrndx >= sections.size()) return file;
    const Elf64_Shdr& text = sections[head.e_shstrndx];
    const std::string names = file.read(text.sh_offset, std::min<uint64_t>(text.sh_size, kNamesBytesMax));
    for (const Elf64_Shdr& each : sections) {
        if (each.sh_name >= names.size()) continue;
        std::string name(names.c_str() + each.sh_name);
        if (each.sh_type == SHT_NOBITS) continue;
        file.sections_.push_back({std::move(name), {each.sh_type, each.sh_offset, each.sh_size, each.sh_addr}});
    }
    return file;
}

std::string ElfFile::section(std::string_view name, size_t bytes_max) const {
    for (const Section& each : sections_) {
        if (each.name == name) return read(each.range.offset, std::min<uint64_t>(each.range.size, bytes_max));
    }
    return {};
}

std::string ElfFile::note(std::string_view owner, uint32_t type, size_t bytes_max) const {
    for (const Range& segment : segments_) {
        if (segment.type != PT_NOTE) continue;
        const std::string notes = read(segment.offset, std::min<uint64_t>(segment.size, kNotesBytesMax));
        Elf64_Nhdr head;
        for (size_t at = 0; at + sizeof head <= notes.size();) {
            memcpy(&head, notes.data() + at, sizeof head);
            at += sizeof head;
            const size_t left = notes.size() - at;
            if (head.n_namesz > left || padded(head.n_namesz) > left || head.n_descsz > left - padded(head.n_namesz)) break;
            const std::string_view name = std::string_view(notes).substr(at, head.n_namesz);
            const std::string_view content = std::string_view(notes).substr(at + padded(head.n_namesz), head.n_descsz);
            if (head.n_type == type && name.substr(0, name.find('\0')) == owner) return std::string(content.substr(0, bytes_max));
            at += padded(head.n_namesz) + padded(head.n_descsz);
        }
    }
    return {};
}

std::string ElfFile::loaded(uint64_t address, size_t bytes_max) const {
    for (const Range& segment : segments_) {
        if (segment.type != PT_LOAD || address < segment.address || address - segment.address >= segment.size) continue;
        const uint64_t inside = address - segment.address;
        return read(segment.offset + inside, std::min<uint64_t>(segment.size - inside, bytes_max));
    }
    return {};
}

}  // namespace callgate
