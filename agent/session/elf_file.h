// ElfFile: the parts of a program file that say which package it was built from. 64 bit, little endian; everything else is
// as if it said nothing. Every offset and length is checked: the file is whoever's made it.
//
//   ElfFile elf = *ElfFile::open(fd);
//   elf.section(".go.buildinfo", 65536)     ->  its first 65536 bytes
//   elf.note("FDO", 0xcafe1a7e, 65536)      ->  {"type":"deb","name":"coreutils",…}
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace callgate {

class ElfFile {
  public:
    // `fd`: a regular file, open for reading; used while the object lives. Nothing where it is no such ELF file.
    static std::optional<ElfFile> open(int fd);

    std::string section(std::string_view name, size_t bytes_max) const;  // "" where there is none
    // The content of the first note of this owner and type; "" where there is none.
    std::string note(std::string_view owner, uint32_t type, size_t bytes_max) const;
    // What is loaded at an address, from the file.
    std::string loaded(uint64_t address, size_t bytes_max) const;

  private:
    struct Range {
        uint32_t type = 0;
        uint64_t offset = 0, size = 0, address = 0;
    };
    explicit ElfFile(int fd) : fd_(fd) {}
    std::string read(uint64_t offset, uint64_t size) const;

    int fd_;
    std::vector<Range> segments_;
    struct Section {
        std::string name;
        Range range;
    };
    std::vector<Section> sections_;
};

}  // namespace callgate
