// Ends the process at a step that a test names: the file $CALLGATE_FAULT_FILE holds the step's name, and which of its passes is
// meant where that is not the first ("calls set 2"). After "hang: " its thread stays there instead, and after "throw: " it goes
// on with an exception. The file is removed first, so that who comes next does not end there, too. The step that
// $CALLGATE_SLOW_STEP names takes so many microseconds instead, each time ("turn of the first half 1500").
#include "base/fault_point.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

namespace callgate {
namespace {

bool take_prefix(std::string& text, const char* prefix) {
    if (!text.starts_with(prefix)) return false;
    text.erase(0, strlen(prefix));
    return true;
}

}  // namespace

void fault_point(const char* step) {
    const char* const slow = getenv("CALLGATE_SLOW_STEP");
    if (slow && !strncmp(slow, step, strlen(step))) usleep(static_cast<unsigned>(atoi(slow + strlen(step))));
    const char* const path = getenv("CALLGATE_FAULT_FILE");
    if (!path) return;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    char text[64];
    const ssize_t length = read(fd, text, sizeof(text));
    close(fd);
    std::string wanted(text, length > 0 ? static_cast<size_t>(length) : 0);
    const bool hangs = take_prefix(wanted, "hang: "), throws = take_prefix(wanted, "throw: ");
    int pass = 1;
    if (const size_t space = wanted.find_last_not_of("0123456789"); space + 1 < wanted.size()) {
        pass = atoi(wanted.c_str() + space + 1);
        wanted.resize(space);
    }
    static std::atomic<int> passes{0};
    if (wanted != step || ++passes < pass) return;
    unlink(path);
    if (throws) throw std::bad_alloc();
    if (!hangs) tgkill(getpid(), gettid(), SIGKILL);  // of signals, a confined thread may send only such
    for (;;) pause();
}

}  // namespace callgate
