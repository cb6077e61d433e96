#include "replay/audit_files.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <fstream>

#include "../session/temp_tree.h"
#include "audit_lines.h"

namespace callgate {
namespace {

class AuditFilesTest : public ::testing::Test {
  protected:
    std::string file(const std::string& name, const std::string& text) {
        std::ofstream(tree_.path("/" + name), std::ios::binary) << text;
        return tree_.path("/" + name);
    }
    std::string compressed(const std::string& name, const std::string& text) {
        gzFile out = gzopen(tree_.path("/" + name).c_str(), "wb");
        gzwrite(out, text.data(), static_cast<unsigned>(text.size()));
        gzclose(out);
        return tree_.path("/" + name);
    }
    // Tools of the records, in order.
    std::string read(const std::vector<std::string>& paths) {
        Result<AuditFiles> files = AuditFiles::open(paths);
        if (!files.ok()) return files.error().text();
        std::string out;
        while (const std::optional<AuditRecord> record = files->next()) out += record->call.name;
        unreadable_ = files->unreadable();
        failure_ = files->failure();
        return out;
    }
    TempTree tree_;
    size_t unreadable_ = 0;
    std::string failure_;
};

TEST_F(AuditFilesTest, RotatedFilesInTheOrderOfTheirTime) {
    const std::string newest = file("a.jsonl", call_line(5, "e") + "\n" + call_line(6, "f") + "\n");
    const std::string older = file("a.jsonl.1", call_line(3, "c") + "\n" + call_line(4, "d") + "\n");
    const std::string oldest = compressed("a.jsonl.2.gz", call_line(1, "a") + "\n" + call_line(2, "b") + "\n");
    EXPECT_EQ(read({newest, older, oldest}), "abcdef");
    EXPECT_EQ(read({oldest, newest, older}), "abcdef");
    EXPECT_EQ(failure_, "");
}

TEST_F(AuditFilesTest, FilesOfSeveralHostsAreMerged) {
    EXPECT_EQ(read({file("x", call_line(1, "a") + "\n" + call_line(3, "c") + "\n"),
                    file("y", call_line(2, "b") + "\n" + call_line(4, "d"))}),
              "abcd");
}

TEST_F(AuditFilesTest, LinesThatAreNoRecordsAreCounted) {
    EXPECT_EQ(read({file("x", "\n{\"half\n" + call_line(1, "a") + "\nnoise\n" + call_line(2, "b").substr(0, 40))}), "a");
    EXPECT_EQ(unreadable_, 3u);
}

TEST_F(AuditFilesTest, ALineThatIsTooLongIsSkipped) {
    const std::string path =
        file("x", call_line(1, "a") + "\n" + std::string(kAuditLineBytesMax + 100000, 'x') + "\n" + call_line(2, "b") + "\n");
    EXPECT_EQ(read({path}), "ab");
    EXPECT_EQ(unreadable_, 1u);
}

TEST_F(AuditFilesTest, WhatCannotBeRead) {
    EXPECT_EQ(read({tree_.path("/none")}), "open " + tree_.path("/none") + ": No such file or directory");
    std::string bytes;
    {
        std::string lines;
        for (int i = 0; i < 5000; ++i) lines += call_line(i % 60, "t" + std::to_string(i * 7919)) + "\n";
        std::ifstream in(compressed("x.gz", lines), std::ios::binary);
        bytes.assign(std::istreambuf_iterator<char>(in), {});
    }
    EXPECT_NE(read({file("cut.gz", bytes.substr(0, bytes.size() / 2))}), "") << "what can be read is";
    EXPECT_NE(failure_, "");
    EXPECT_EQ(read({file("empty", "")}), "");
}

}  // namespace
}  // namespace callgate
