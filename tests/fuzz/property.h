// A property that must hold for every input. Says which target it was, then aborts, as libFuzzer wants it; a
// canary just ends, because ctest takes a signal for a failure whatever was printed.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>

inline void hold(bool property, const char* target, const char* what) {
    if (property) return;
    std::fprintf(stderr, "property violated: %s: %s\n", target, what);
#ifdef CANARY
    std::_Exit(1);
#else
    std::abort();
#endif
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
