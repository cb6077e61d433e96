#include "base/clock.h"

namespace callgate {

std::string utc_text(int64_t realtime) {
    time_t seconds = realtime / 1'000'000'000;
    tm parts;
    gmtime_r(&seconds, &parts);
    char text[32];
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

}  // namespace callgate
