#include "session/original_argv.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>

#include "session/identity.h"

namespace callgate {
namespace {

// Makes of this program's own command line the copy that libuv would make, in the heap.
class Copy {
  public:
    Copy() {
        std::ifstream file("/proc/self/cmdline", std::ios::binary);
        const std::string text(std::istreambuf_iterator<char>(file), {});
        const size_t count = std::count(text.begin(), text.end(), '\0');
        const size_t bytes = (count + 1) * sizeof(char*) + text.size();
        memory_ = static_cast<char*>(sbrk(static_cast<intptr_t>(bytes + alignof(char*))));  // malloc may look elsewhere
        memory_ += (alignof(char*) - reinterpret_cast<uintptr_t>(memory_) % alignof(char*)) % alignof(char*);
        strings_ = memory_ + (count + 1) * sizeof(char*);
        memcpy(strings_, text.data(), text.size());
        char* next = strings_;
        for (size_t i = 0; i < count; ++i, next += strlen(next) + 1) {
            table()[i] = next;
            argv_.push_back(next);
        }
        table()[count] = nullptr;
    }
    ~Copy() { memset(memory_, 0, strings_ - memory_); }
    char** table() { return reinterpret_cast<char**>(memory_); }
    const std::vector<std::string>& argv() const { return argv_; }

  private:
    char* memory_;
    char* strings_;
    std::vector<std::string> argv_;
};

std::vector<std::string> found() { return original_argv(ProcessDir::open(getpid()).value()); }

TEST(OriginalArgv, IsFoundByTheFormOfTheCopy) {
    Copy copy;
    ASSERT_GE(copy.argv().size(), 1u);
    EXPECT_EQ(found(), copy.argv());
}

TEST(OriginalArgv, NothingElseHasThatForm) {
    EXPECT_EQ(found(), std::vector<std::string>());
    Copy copy;
    ++copy.table()[0];  // does not point behind the table any more
    EXPECT_EQ(found(), std::vector<std::string>());
    --copy.table()[0];
    copy.table()[copy.argv().size()] = copy.table()[0];  // no null at the end
    EXPECT_EQ(found(), std::vector<std::string>());
    copy.table()[copy.argv().size()] = nullptr;
    EXPECT_EQ(found(), copy.argv());
}

}  // namespace
}  // namespace callgate
