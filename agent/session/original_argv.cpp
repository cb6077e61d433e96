#include "session/original_argv.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace callgate {
namespace {

// The copy is among the first things that a program allocates.
constexpr uint64_t kHeapBytesMax = uint64_t{8} << 20;
constexpr uint64_t kPointerBytes = sizeof(uint64_t);
// Bytes of strings that are compared, of all that look like a table together: who fills a heap with what looks like them has us
// do no more. The one there is is looked through once, and is as long as a command line can be (a quarter of the stack, 8 MiB).
constexpr size_t kComparedBytesMax = size_t{4} << 20;

// Memory that was read from `address` on.
struct Memory {
    uint64_t address;
    std::string bytes;
    uint64_t pointer_at(size_t offset) const {
        uint64_t value;
        memcpy(&value, bytes.data() + offset, sizeof(value));
        return value;
    }
};

// The strings behind the table at `offset`, or none where there is no table. Bytes that are compared are taken from `left`.
std::vector<std::string> strings_of_table(const Memory& memory, size_t offset, size_t strings_bytes, size_t& left) {
    const uint64_t table = memory.address + offset, first = memory.pointer_at(offset);
    if (first <= table || (first - table) % kPointerBytes != 0) return {};
    const uint64_t strings = first - memory.address;
    if (strings > memory.bytes.size() || memory.bytes.size() - strings < strings_bytes) return {};
    const size_t count = (first - table) / kPointerBytes - 1;
    if (count == 0 || memory.pointer_at(strings - kPointerBytes) != 0) return {};
    const std::string_view text(memory.bytes.data() + strings, strings_bytes);
    std::vector<std::string> found;
    size_t at = 0;
    for (size_t i = 0; i < count; ++i) {
        if (memory.pointer_at(offset + i * kPointerBytes) != first + at) return {};
        const size_t end = text.substr(0, at + std::min(left, text.size() - at)).find('\0', at);
        left -= std::min(left, std::min(end, text.size()) + 1 - at);
        if (end == std::string_view::npos) return {};
        found.emplace_back(text.substr(at, end - at));
        at = end + 1;
    }
    return at == text.size() ? found : std::vector<std::string>();
}

}  // namespace

std::vector<std::string> original_argv(const ProcessDir& dir) {
    Result<ProcessStat> stat = dir.stat();
    const auto heap = dir.find_mapping([](const Mapping& each) { return !each.has_file && each.name == "[heap]"; });
    if (!stat.ok() || stat->argv_bytes == 0 || !heap) return {};
    const Memory memory{heap->begin, dir.memory(heap->begin, std::min(heap->end - heap->begin, kHeapBytesMax))};
    size_t left = kComparedBytesMax;
    for (size_t offset = 0; left > 0 && offset + kPointerBytes <= memory.bytes.size(); offset += kPointerBytes) {
        std::vector<std::string> argv = strings_of_table(memory, offset, stat->argv_bytes, left);
        if (!argv.empty()) return argv;
    }
    return {};
}

}  // namespace callgate
