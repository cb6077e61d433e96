#include "failing_memory.h"

#include <cstdlib>
#include <new>
#include <utility>

namespace callgate {

thread_local uint64_t FailingMemory::countdown_ = 0;
thread_local bool FailingMemory::has_failed_ = false;

bool FailingMemory::stop() {
    countdown_ = 0;
    return std::exchange(has_failed_, false);
}

bool FailingMemory::is_due() {
    if (countdown_ == 0 || --countdown_ > 0) return false;
    return has_failed_ = true;
}

}  // namespace callgate

namespace {

void* allocate(size_t bytes) {
    void* memory = callgate::FailingMemory::is_due() ? nullptr : malloc(bytes);
    if (!memory) throw std::bad_alloc();
    return memory;
}

}  // namespace

void* operator new(size_t bytes) { return allocate(bytes); }
void* operator new[](size_t bytes) { return allocate(bytes); }
void operator delete(void* memory) noexcept { free(memory); }
void operator delete[](void* memory) noexcept { free(memory); }
void operator delete(void* memory, size_t) noexcept { free(memory); }
void operator delete[](void* memory, size_t) noexcept { free(memory); }

// Every call of realloc(3) in what this program is linked from: --wrap.
extern "C" void* __real_realloc(void* memory, size_t bytes);
extern "C" void* __wrap_realloc(void* memory, size_t bytes) {
    return callgate::FailingMemory::is_due() ? nullptr : __real_realloc(memory, bytes);
}
