// Native programs: made here, byte by byte, as compilers make them.
#include "session/elf_package.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>

#include "temp_tree.h"

namespace callgate {
namespace {

template <typename T>
std::string bytes_of(const T& value) {
    return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

// A program with one section of its own and one segment, of which `content` is both.
std::string elf(const std::string& section_name, const std::string& content, uint32_t segment_type = PT_NOTE) {
    const std::string names = std::string("\0.shstrtab\0", 11) + section_name + '\0';
    Elf64_Ehdr head{};
    memcpy(head.e_ident, ELFMAG, SELFMAG);
    head.e_ident[EI_CLASS] = ELFCLASS64;
    head.e_ident[EI_DATA] = ELFDATA2LSB;
    head.e_phentsize = sizeof(Elf64_Phdr);
    head.e_shentsize = sizeof(Elf64_Shdr);
    head.e_phnum = 1;
    head.e_shnum = 3;
    head.e_shstrndx = 1;
    head.e_phoff = sizeof head;
    head.e_shoff = sizeof head + sizeof(Elf64_Phdr);
    const uint64_t names_at = head.e_shoff + 3 * sizeof(Elf64_Shdr), content_at = names_at + names.size();
    Elf64_Phdr segment{};
    segment.p_type = segment_type;
    segment.p_offset = content_at;
    segment.p_filesz = content.size();
    segment.p_vaddr = 0x400000;
    Elf64_Shdr none{}, text{}, own{};
    text.sh_name = 1;
    text.sh_type = SHT_STRTAB;
    text.sh_offset = names_at;
    text.sh_size = names.size();
    own.sh_name = 11;
    own.sh_type = SHT_PROGBITS;
    own.sh_offset = content_at;
    own.sh_size = content.size();
    return bytes_of(head) + bytes_of(segment) + bytes_of(none) + bytes_of(text) + bytes_of(own) + names + content;
}

std::string varint(uint64_t value) {
    std::string out;
    for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
    return out + static_cast<char>(value);
}

const std::string kMark(16, '\x30');
const std::string kLines =
    "path\tgithub.com/acme/notes-mcp/cmd/server\nmod\tgithub.com/acme/notes-mcp\tv1.4.0\th1:x=\ndep\tgithub.com/other\tv9.9.9\th1:y=\n";

std::string go_info(const std::string& module) {
    std::string info = "\xff Go buildinf:";
    info += '\x08';
    info += '\x02';
    info.resize(32);
    return info + varint(8) + "go1.22.0" + varint(module.size()) + module;
}

std::string note(const std::string& owner, uint32_t type, std::string content) {
    const Elf64_Nhdr head{static_cast<uint32_t>(owner.size() + 1), static_cast<uint32_t>(content.size()), type};
    std::string name = owner + '\0';
    name.resize((name.size() + 3) & ~3ull);
    content.resize((content.size() + 3) & ~3ull);
    return bytes_of(head) + name + content;
}

class Programs : public ::testing::Test {
  protected:
    std::string package_of(const std::string& program, const std::string& path = "/opt/bin/server") {
        tree_.file(path, program);
        return shown(path);
    }
    std::string shown(const std::string& path) {
        auto fs = RootFs::open(tree_.root());
        EXPECT_TRUE(fs.ok());
        const Package package = elf_package(*fs, path);
        return package.ecosystem + " " + package.name + " " + package.version;
    }
    TempTree tree_;
};

TEST_F(Programs, Go) {
    EXPECT_EQ(package_of(elf(".go.buildinfo", go_info(kMark + kLines + kMark))), "go github.com/acme/notes-mcp v1.4.0");
    EXPECT_EQ(package_of(elf(".go.buildinfo", go_info(kMark + "path\tcommand-line-arguments\ndep\tx\tv1\n" + kMark))),
              "go command-line-arguments ");
}

TEST_F(Programs, GoOfManyDependencies) {
    std::string module = kMark + kLines;
    for (int i = 0; i < 5000; ++i) module += "dep\tgithub.com/x/dependency-" + std::to_string(i) + "\tv1.0.0\th1:abcdefgh=\n";
    EXPECT_EQ(package_of(elf(".go.buildinfo", go_info(module + kMark))), "go github.com/acme/notes-mcp v1.4.0");
}

TEST_F(Programs, GoBefore118HasPointers) {
    const std::string module = kMark + kLines + kMark;
    std::string info = "\xff Go buildinf:";
    info += '\x08';
    info += '\0';
    const uint64_t base = 0x400000, pairs_at = base + 64, text_at = pairs_at + 32;
    info += bytes_of(pairs_at) + bytes_of(pairs_at + 16);
    info.resize(64);
    info += bytes_of(text_at) + bytes_of(uint64_t{0}) + bytes_of(text_at) + bytes_of(uint64_t{module.size()}) + module;
    EXPECT_EQ(package_of(elf(".go.buildinfo", info, PT_LOAD)), "go github.com/acme/notes-mcp v1.4.0");
}

TEST_F(Programs, PackageNote) {
    const std::string text =
        std::string(R"({"type":"deb","os":"debian","name":"notes","version":"1.4-1","architecture":"amd64"})") + '\0';
    EXPECT_EQ(package_of(elf(".note.package", note("GNU", 3, "id") + note("FDO", 0xcafe1a7e, text))), "deb notes 1.4-1");
    EXPECT_EQ(package_of(elf(".note.package", note("FDO", 1, text))), "program server ");
    EXPECT_EQ(package_of(elf(".note.package", note("FDOX", 0xcafe1a7e, text))), "program server ");
    EXPECT_EQ(package_of(elf(".note.package", note("FDO", 0xcafe1a7e, R"({"name":7})"))), "program server ");
    EXPECT_EQ(package_of(elf(".note.package", note("FDO", 0xcafe1a7e, "{"))), "program server ");
}

TEST_F(Programs, OthersAreNamedByTheirFile) {
    EXPECT_EQ(package_of(elf(".text", "code"), "/opt/bin/notes-server"), "program notes-server ");
    EXPECT_EQ(package_of("#!/bin/sh\n"), "program server ");
    EXPECT_EQ(shown("/opt/bin/gone"), "program gone ");
    EXPECT_EQ(shown("/opt/bin/gone (deleted)"), "program gone ");
}

TEST_F(Programs, OneThatWasReplacedIsReadAgain) {
    EXPECT_EQ(package_of(elf(".go.buildinfo", go_info(kMark + kLines + kMark))), "go github.com/acme/notes-mcp v1.4.0");
    std::filesystem::remove(tree_.path("/opt/bin/server"));
    EXPECT_EQ(package_of(elf(".text", "code")), "program server ");
}

// Whatever one byte, or the end of the file, says: no read outside of it, and at worst no package.
TEST_F(Programs, HostileFiles) {
    const std::string good = elf(".go.buildinfo", go_info(kMark + kLines + kMark));
    const std::string noted = elf(".note.package", note("FDO", 0xcafe1a7e, R"({"name":"x"})"));
    for (const std::string& program : {good, noted}) {
        for (size_t at = 0; at < program.size(); at += 3) {
            std::string bent = program;
            bent[at] = static_cast<char>(bent[at] ^ 0xff);
            EXPECT_NE(package_of(bent), "") << at;
            EXPECT_NE(package_of(program.substr(0, at)), "") << at;
        }
    }
    EXPECT_EQ(go_module_text(""), "");
    EXPECT_EQ(go_module_text(std::string(32, 'x') + std::string(20, '\xff')), "");
}

TEST(GoModules, OnlyWholeKeysCount) {
    EXPECT_EQ(go_package("module\tx\tv1\n").name, "");
    EXPECT_EQ(go_package("mod\n").name, "");
    EXPECT_EQ(go_package("mod\tx").name, "x");
    EXPECT_EQ(go_package("path\ty\nmod\tx\tv1").version, "v1");
    EXPECT_EQ(go_package("mod\t" + std::string(600, 'x') + "\tv1\n").name, "");
}

}  // namespace
}  // namespace callgate
