// Places in the head of a ledger, and what to write there: see ledger_fuzz.cpp.
#include <cstdint>
#include <cstring>

#include "pieces.h"

namespace {

constexpr uint16_t kPlaces[] = {8,   12,  16,  20,  24,  656,  664,  672,  680,  688,  696,  704,  712,  720, 728,
                                736, 744, 752, 756, 760, 1280, 1288, 1352, 1376, 1384, 1392, 1400, 1408, 1416};
constexpr int64_t kValues[] = {0,         1,         2,         3,          4,          5,         100,
                               4096,      16384,     -1,        2147483648, 4294967296, INT64_MAX, 35667968,
                               106971136, 106971135, 178274304, 253771776,  329269248};

std::vector<std::string> all_pieces() {
    std::vector<std::string> pieces;
    for (const uint16_t place : kPlaces) {
        for (const int64_t value : kValues) {
            char bytes[sizeof(place) + sizeof(value)];
            memcpy(bytes, &place, sizeof(place));
            memcpy(bytes + sizeof(place), &value, sizeof(value));
            pieces.emplace_back(bytes, sizeof(bytes));
        }
    }
    return pieces;
}

}  // namespace

const std::vector<std::string> kPieces = all_pieces();
