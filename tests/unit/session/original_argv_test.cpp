#include "session/original_argv.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

#include "../kernel/child.h"
#include "session/identity.h"
#include "temp_tree.h"

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

// A file of that name, whose bytes its owner may never give, is not the heap.
TEST(OriginalArgv, AFileIsNoHeap) {
    Copy copy;
    TempTree tree;
    tree.file("/[heap]", std::string(4096, 'x'));
    const Fd file = Fd::adopt(open(tree.path("/[heap]").c_str(), O_RDONLY | O_CLOEXEC));
    void* const below = reinterpret_cast<void*>(0x100000);  // first of the list
    ASSERT_EQ(mmap(below, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED_NOREPLACE, file.get(), 0), below);
    EXPECT_EQ(found(), copy.argv());
    munmap(below, 4096);
}

// Has the kernel take other places for this process's command line and the beginning of its heap; PR_SET_MM_MAP needs all of
// them, proc_pid_stat(5).
bool move_command_line(uint64_t begin, size_t bytes, uint64_t heap) {
    std::ifstream file("/proc/self/stat");
    const std::string text(std::istreambuf_iterator<char>(file), {});
    std::istringstream fields(text.substr(text.rfind(')') + 2));
    std::vector<uint64_t> field(3);
    for (std::string word; fields >> word;) field.push_back(strtoull(word.c_str(), nullptr, 10));
    if (field.size() <= 51) return false;
    prctl_mm_map map{};
    map.start_code = field[26], map.end_code = field[27], map.start_stack = field[28];
    map.start_data = field[45], map.end_data = field[46], map.start_brk = heap;
    map.brk = reinterpret_cast<uintptr_t>(sbrk(0));
    map.arg_start = begin, map.arg_end = begin + bytes;
    map.env_start = field[50], map.env_end = field[51];
    map.exe_fd = static_cast<uint32_t>(-1);
    return prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0) == 0;
}

// Tables that would be looked through anew from each place on, to no avail.
TEST(OriginalArgv, AHeapThatIsMadeToTakeLongDoesNot) {
    constexpr size_t kWords = size_t{1} << 17, kTextBytes = size_t{1} << 20, kArgvBytes = 200'000;
    const Ends ready = make_pipe();
    const Child child([&] {
        // Behind what it has of its parent's: what a child adds to that is a mapping of its own.
        const auto start = (reinterpret_cast<uintptr_t>(sbrk(0)) + 4095) / 4096 * 4096 + 4096;
        if (brk(reinterpret_cast<void*>(start + kWords * sizeof(uint64_t) + kTextBytes))) _exit(1);
        auto* const table = reinterpret_cast<uint64_t*>(start);
        const uint64_t strings = start + kWords * sizeof(uint64_t) + 4096;  // zeros: empty words
        for (size_t i = 0; i < kWords; ++i) table[i] = strings + i;
        if (!move_command_line(strings, kArgvBytes, start)) _exit(2);
        (void)!write(ready.write.get(), "x", 1);
        pause();
    });
    char text;
    pollfd waiting{ready.read.get(), POLLIN, 0};
    ASSERT_EQ(poll(&waiting, 1, 10'000 * kSlowness), 1);
    ASSERT_EQ(read(ready.read.get(), &text, 1), 1);
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(original_argv(ProcessDir::open(child.pid()).value()), std::vector<std::string>());
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(5000 * kSlowness));
}

}  // namespace
}  // namespace callgate
