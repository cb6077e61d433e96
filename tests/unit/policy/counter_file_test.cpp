// Counters that outlive the agent: what a killed one leaves, and every way in which the file can be damaged.
#include "policy/counter_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <random>
#include <thread>

#include "../session/temp_tree.h"

namespace callgate {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kMidnight = 1'767'225'600 * kSecond;
constexpr size_t kHeaderBytes = 4096, kCellBytes = 512;

CounterDemand demand(std::string_view key, int64_t max = 100, CounterKind kind = CounterKind::calendar, int64_t amount = 1) {
    CounterDemand made;
    made.key = key;
    made.counter = "c";
    made.max = max;
    made.kind = kind;
    made.amount = amount;
    return made;
}

class CounterFileTest : public ::testing::Test {
  protected:
    // One life of an agent: what an earlier one left, in a table that keeps in the file.
    struct Life {
        explicit Life(const std::string& path, int64_t now_ns = kMidnight) {
            auto opened = CounterFile::open(path, remark);
            if (!opened) {
                error = opened.error().text();
                return;
            }
            file = std::move(*opened);
            file->each([&](uint32_t cell, std::string_view key, const CounterImage& image) {
                restored += table.restore(cell, key, image, now_ns);
            });
            table.keep_in(*file);
        }
        bool reserve(const CounterDemand& one, int64_t now_ns = kMidnight) {
            return table.reserve(std::vector{one}, now_ns, charged).granted;
        }
        std::string text(int64_t now_ns = kMidnight) const {
            std::string out;
            for (const auto& row : table.rows(now_ns))
                out += row.key + " " + std::to_string(row.count) + "/" + std::to_string(row.max) + "\n";
            return out;
        }
        std::string remark, error;
        size_t restored = 0;
        std::unique_ptr<CounterFile> file;
        CounterTable table;
        std::vector<CounterUse> charged;
    };
    void overwrite(off_t offset, std::string_view bytes) {
        const int fd = ::open(path_.c_str(), O_WRONLY);
        ASSERT_EQ(pwrite(fd, bytes.data(), bytes.size(), offset), static_cast<ssize_t>(bytes.size()));
        close(fd);
    }
    TempTree tree_;
    std::string path_ = tree_.path("/counters");
};

TEST_F(CounterFileTest, OneThatOthersCanWriteIsRefused) {
    { Life life(path_); }
    for (mode_t bad : {0666, 0620, 0602}) {
        ASSERT_EQ(chmod(path_.c_str(), bad), 0);
        EXPECT_NE(Life(path_).error.find("can be written by others than its owner"), std::string::npos);
    }
    ASSERT_EQ(chmod(path_.c_str(), 0640), 0);
    EXPECT_EQ(Life(path_).error, "");
}

TEST_F(CounterFileTest, WhatWasCountedIsThereAgain) {
    {
        Life life(path_);
        ASSERT_EQ(life.error, "");
        for (int i = 0; i < 3; ++i) ASSERT_TRUE(life.reserve(demand("a")));
        ASSERT_TRUE(life.reserve(demand("sum", 1'000'000, CounterKind::sliding, 77)));
        ASSERT_TRUE(life.reserve(demand("now", 5, CounterKind::in_flight)));
    }
    struct stat status;
    ASSERT_EQ(stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    Life life(path_);
    EXPECT_EQ(life.remark, "");
    EXPECT_EQ(life.restored, 2u);
    EXPECT_EQ(life.text(), "a 3/100\nsum 77/1000000\n");  // nothing is in flight any more
    EXPECT_FALSE(life.reserve(demand("a", 3)));
}

TEST_F(CounterFileTest, SlicesOfASlidingWindowAreKeptApart) {
    {
        Life life(path_);
        ASSERT_TRUE(life.reserve(demand("s", 3, CounterKind::sliding)));
        ASSERT_TRUE(life.reserve(demand("s", 3, CounterKind::sliding), kMidnight + 30 * kSecond));
        ASSERT_TRUE(life.reserve(demand("s", 3, CounterKind::sliding), kMidnight + 31 * kSecond));
    }
    Life life(path_, kMidnight + 40 * kSecond);
    EXPECT_FALSE(life.reserve(demand("s", 3, CounterKind::sliding), kMidnight + 65 * kSecond));
    EXPECT_TRUE(life.reserve(demand("s", 3, CounterKind::sliding), kMidnight + 66 * kSecond));
    EXPECT_FALSE(life.reserve(demand("s", 3, CounterKind::sliding), kMidnight + 66 * kSecond));
}

TEST_F(CounterFileTest, WhatIsOverIsNotRestored) {
    {
        Life life(path_);
        ASSERT_TRUE(life.reserve(demand("a")));
    }
    Life life(path_, kMidnight + 60 * kSecond);
    EXPECT_EQ(life.restored, 0u);
    EXPECT_TRUE(life.reserve(demand("b", 1), kMidnight + 60 * kSecond));
    EXPECT_FALSE(life.reserve(demand("b", 1), kMidnight + 60 * kSecond));
}

TEST_F(CounterFileTest, GivenBackIsGivenBackInTheFileToo) {
    {
        Life life(path_);
        ASSERT_TRUE(life.reserve(demand("a")));
        const auto first = life.charged;
        ASSERT_TRUE(life.reserve(demand("a")));
        life.table.roll_back(first);
        ASSERT_TRUE(life.reserve(demand("b")));
        EXPECT_EQ(life.table.reset([](std::string_view key) { return key == "b"; }), 1u);
    }
    EXPECT_EQ(Life(path_).text(), "a 1/100\n");
}

// kill -9: the process is gone between two instructions, the page cache stays.
TEST_F(CounterFileTest, AKilledAgentLosesNothing) {
    int counted[2];
    ASSERT_EQ(pipe(counted), 0);
    const pid_t child = fork();
    if (child == 0) {
        Life life(path_);
        for (int i = 1;; ++i) {
            if (!life.reserve(demand("a", 1'000'000'000))) _exit(1);
            if (write(counted[1], &i, sizeof i) != sizeof i) _exit(1);
        }
    }
    close(counted[1]);
    int last = 0;
    while (last < 2000) ASSERT_EQ(read(counted[0], &last, sizeof last), ssize_t{sizeof last});
    kill(child, SIGKILL);
    int status;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
    for (int i = 0; read(counted[0], &i, sizeof i) == ssize_t{sizeof i};) last = i;
    close(counted[0]);
    Life life(path_);
    const auto rows = life.table.rows(kMidnight);
    ASSERT_EQ(rows.size(), 1u);
    // One more may have been charged, and not told any more.
    EXPECT_GE(rows[0].count, last);
    EXPECT_LE(rows[0].count, last + 1);
    EXPECT_EQ(life.file->damaged(), 0u);
}

TEST_F(CounterFileTest, OneAgentHasTheFile) {
    Life first(path_), second(path_);
    EXPECT_EQ(first.error, "");
    EXPECT_THAT(second.error, HasSubstr("in use by another agent"));
}

TEST_F(CounterFileTest, AFileOfANewerVersionIsRefused) {
    { Life life(path_); }
    overwrite(16, std::string_view("\2\0\0\0", 4));
    Life life(path_);
    EXPECT_THAT(life.error, HasSubstr("written by a newer version of callgate"));
    EXPECT_EQ(access((path_ + ".damaged").c_str(), F_OK), -1);
}

TEST_F(CounterFileTest, ADamagedHeadIsMovedAside) {
    for (const std::string& content : {std::string("{}"), std::string(100'000, 'x'), std::string(3, '\0')}) {
        std::ofstream(path_, std::ios::trunc) << content;
        Life life(path_);
        EXPECT_EQ(life.error, "");
        EXPECT_THAT(life.remark, HasSubstr("damaged, every counter begins anew; moved to"));
        EXPECT_TRUE(life.reserve(demand("a")));
        std::ifstream aside(path_ + ".damaged");
        EXPECT_EQ(std::string(std::istreambuf_iterator<char>(aside), {}), content);
    }
    EXPECT_EQ(Life(path_).text(), "a 1/100\n");
}

TEST_F(CounterFileTest, ADamagedCellIsLeftOutAndCounted) {
    {
        Life life(path_);
        for (const char* key : {"a", "b", "c"}) ASSERT_TRUE(life.reserve(demand(key)));
    }
    overwrite(kHeaderBytes + kCellBytes + 24, "z");  // the key of "b"
    Life life(path_);
    EXPECT_EQ(life.file->damaged(), 1u);
    EXPECT_EQ(life.text(), "a 1/100\nc 1/100\n");
    EXPECT_TRUE(life.reserve(demand("d")));
}

// A state that was torn in the middle leaves the one before.
TEST_F(CounterFileTest, ATornStateLeavesTheOtherOne) {
    {
        Life life(path_);
        for (int i = 0; i < 4; ++i) ASSERT_TRUE(life.reserve(demand("a")));
    }
    // The fourth charge is in the second state; it was the third that the first one has.
    overwrite(kHeaderBytes + 272 + 120 + 20, "zz");
    EXPECT_EQ(Life(path_).text(), "a 3/100\n");
}

// Any damage anywhere: opened or refused with a reason, never a crash, and no cell holds more than it was given.
TEST_F(CounterFileTest, PropertyDamageIsNeverACount) {
    std::map<std::string, int64_t> truth;
    {
        Life life(path_);
        for (int i = 0; i < 40; ++i) {
            const std::string key = "key " + std::to_string(i);
            truth[key] = 1 + i % 7;
            ASSERT_TRUE(life.reserve(demand(key, 100, i % 2 ? CounterKind::sliding : CounterKind::calendar, 1 + i % 7)));
        }
    }
    std::ifstream good_file(path_, std::ios::binary);
    const std::string good(std::istreambuf_iterator<char>(good_file), {});
    std::mt19937 random(1);
    for (int round = 0; round < 200; ++round) {
        std::string bad = good.substr(0, random() % 3 ? good.size() : random() % good.size());
        for (int i = 0; i < 20; ++i) {
            const size_t offset = kHeaderBytes + random() % (40 * kCellBytes);
            if (offset < bad.size()) bad[offset] = static_cast<char>(random());
        }
        std::ofstream(path_, std::ios::binary | std::ios::trunc) << bad;
        Life life(path_);
        ASSERT_EQ(life.error, "");
        for (const auto& row : life.table.rows(kMidnight)) {
            ASSERT_EQ(truth.count(row.key), 1u) << row.key;
            ASSERT_EQ(row.count, truth[row.key]);
        }
    }
}

TEST_F(CounterFileTest, ManyCountersGrowTheFile) {
    {
        Life life(path_);
        for (int i = 0; i < 5000; ++i) ASSERT_TRUE(life.reserve(demand("key " + std::to_string(i))));
        EXPECT_EQ(life.file->unsaved(), 0u);
    }
    EXPECT_EQ(Life(path_).restored, 5000u);
}

TEST_F(CounterFileTest, ACellThatIsUsedAgainHasNothingOfTheOldCounter) {
    {
        Life life(path_);
        for (int i = 0; i < 9; ++i) ASSERT_TRUE(life.reserve(demand("old", 100)));
        // Over: its cell goes to the next one.
        ASSERT_TRUE(life.reserve(demand("new", 100), kMidnight + 60 * kSecond));
        ASSERT_TRUE(life.reserve(demand("newer", 100), kMidnight + 60 * kSecond));
    }
    EXPECT_EQ(Life(path_, kMidnight + 60 * kSecond).text(kMidnight + 60 * kSecond), "new 1/100\nnewer 1/100\n");
}

// The largest file that this process may make, for as long as it lives; what is beyond is as on a full disk.
class FileSizeLimit {
  public:
    explicit FileSizeLimit(rlim_t bytes) {
        signal(SIGXFSZ, SIG_IGN);
        getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit limit{bytes, before_.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    ~FileSizeLimit() {
        setrlimit(RLIMIT_FSIZE, &before_);
        signal(SIGXFSZ, SIG_DFL);
    }

  private:
    rlimit before_;
};

TEST_F(CounterFileTest, WhereThereIsRoomAgainCountersAreKeptAgain) {
    Life life(path_);
    std::vector<std::string> told;
    {
        FileSizeLimit none(kHeaderBytes);
        life.file->trouble().watch([&](const std::string& text) { told.push_back(text); });
        EXPECT_TRUE(life.reserve(demand("a")));
        EXPECT_TRUE(life.reserve(demand("a")));
        EXPECT_EQ(life.file->unsaved(), 2u);
        EXPECT_THAT(life.file->trouble().text(), HasSubstr(path_));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1050));
    EXPECT_TRUE(life.reserve(demand("a")));
    EXPECT_EQ(life.file->unsaved(), 2u);
    EXPECT_EQ(life.file->trouble().text(), "");
    ASSERT_EQ(told.size(), 2u);
    EXPECT_THAT(told[0], HasSubstr("fallocate " + path_));
    EXPECT_EQ(told[1], "");
    life.file.reset();
    EXPECT_EQ(Life(path_).text(), "a 3/100\n");
}

// A copy that was made with its holes left out: what is in it is found, and every cell has its blocks before it is written.
TEST_F(CounterFileTest, HolesAreFilledBeforeTheyAreWritten) {
    {
        Life life(path_);
        EXPECT_TRUE(life.reserve(demand("a")));
    }
    const int fd = ::open(path_.c_str(), O_RDWR);
    ASSERT_EQ(ftruncate(fd, kHeaderBytes + 8 * kCellBytes), 0);
    ASSERT_EQ(ftruncate(fd, kHeaderBytes + 2048 * kCellBytes), 0);
    Life life(path_);
    EXPECT_EQ(life.text(), "a 1/100\n");
    struct stat status;
    ASSERT_EQ(fstat(fd, &status), 0);
    EXPECT_GE(status.st_blocks * 512, static_cast<blkcnt_t>(kHeaderBytes + 2048 * kCellBytes));
    close(fd);
}

TEST_F(CounterFileTest, KeysThatDoNotFitAreKeptInMemoryAndCounted) {
    Life life(path_);
    EXPECT_TRUE(life.reserve(demand(std::string(kCounterKeyBytesMax + 1, 'k'), 1)));
    EXPECT_FALSE(life.reserve(demand(std::string(kCounterKeyBytesMax + 1, 'k'), 1)));
    EXPECT_EQ(life.file->unsaved(), 1u);
}

}  // namespace
}  // namespace callgate
