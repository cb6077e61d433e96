// A line that was cut by the end of the process that wrote it.
#include "audit/audit_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace callgate {
namespace {

class CutLine : public ::testing::Test {
  protected:
    void SetUp() override { ASSERT_NE(mkdtemp(directory_), nullptr); }
    void TearDown() override {
        unlink(path().c_str());
        rmdir(directory_);
    }
    std::string path() const { return std::string(directory_) + "/audit.jsonl"; }
    // What the file holds when `lines` have been appended to `before`.
    std::string after(const std::string& before, const std::string& lines) {
        std::ofstream(path()) << before;
        chmod(path().c_str(), 0600);
        auto file = AuditFile::open(path());
        EXPECT_TRUE(file.ok());
        EXPECT_EQ(file->append(lines, 0), lines.size());
        EXPECT_EQ(file->append("later\n", 0), 6u);
        std::ifstream read(path());
        return {std::istreambuf_iterator<char>(read), {}};
    }
    char directory_[32] = "/tmp/callgate-audit-XXXXXX";
};

TEST_F(CutLine, GetsItsRest) {
    EXPECT_EQ(after("a1\nb2", "b234\nc5\n"), "a1\nb234\nc5\nlater\n");
    EXPECT_EQ(after("b2", "b234\n"), "b234\nlater\n");
    EXPECT_EQ(after("a1\nb234", "b234\nc5\n"), "a1\nb234\nc5\nlater\n");
}

TEST_F(CutLine, GetsItsRestBeforeThoseThatMayBeThere) {
    EXPECT_EQ(after("a1\nb2", "a1\nb234\nc5\n"), "a1\nb234\na1\nc5\nlater\n");
}

TEST_F(CutLine, IsEndedWhereNobodyHasItsRest) {
    EXPECT_EQ(after("a1\nb2", "c5\n"), "a1\nb2\nc5\nlater\n");
    EXPECT_EQ(after("a1\nb2", "c5b2\n"), "a1\nb2\nc5b2\nlater\n");
}

TEST_F(CutLine, IsNoneWhereTheFileEndsWell) {
    EXPECT_EQ(after("", "b234\n"), "b234\nlater\n");
    EXPECT_EQ(after("b2\n", "b234\n"), "b2\nb234\nlater\n");
}

}  // namespace
}  // namespace callgate
