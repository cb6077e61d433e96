// What a sanitizer costs: bounds on time are so many times as long. Its number is in tests/CMakeLists.txt.
#pragma once

#ifndef CALLGATE_SLOWNESS
#define CALLGATE_SLOWNESS 1
#endif

namespace callgate {

inline constexpr int kSlowness = CALLGATE_SLOWNESS;

}  // namespace callgate
