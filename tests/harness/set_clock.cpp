// set_clock.so: the clock of one program, for tests: LD_PRELOAD it, and CALLGATE_CLOCK names a file with a number of nanoseconds
// (int64_t) by which CLOCK_REALTIME is wrong, as if somebody had set it. Other clocks go on.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

namespace {

using ClockGettime = int (*)(clockid_t, timespec*);
ClockGettime real_clock_gettime = nullptr;
const volatile int64_t* wrong_by_ns = nullptr;

// Before the program does anything: later it may not be allowed to.
__attribute__((constructor)) void open_file() {
    real_clock_gettime = reinterpret_cast<ClockGettime>(dlsym(RTLD_NEXT, "clock_gettime"));
    const char* path = getenv("CALLGATE_CLOCK");
    const int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void* memory = mmap(nullptr, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (memory != MAP_FAILED) wrong_by_ns = static_cast<const volatile int64_t*>(memory);
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept {
    if (!real_clock_gettime) real_clock_gettime = reinterpret_cast<ClockGettime>(dlsym(RTLD_NEXT, "clock_gettime"));
    const int done = real_clock_gettime(clock, now);
    if (done != 0 || clock != CLOCK_REALTIME || !wrong_by_ns) return done;
    const int64_t ns = int64_t{now->tv_sec} * 1'000'000'000 + now->tv_nsec + *wrong_by_ns;
    now->tv_sec = ns / 1'000'000'000;
    now->tv_nsec = ns % 1'000'000'000;
    return 0;
}

extern "C" time_t time(time_t* to) noexcept {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (to) *to = now.tv_sec;
    return now.tv_sec;
}

extern "C" int gettimeofday(timeval* to, void*) noexcept {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *to = {now.tv_sec, now.tv_nsec / 1000};
    return 0;
}
