#include "session/original_argv.h"

#include <cstdlib>
#include <cstring>
#include <string_view>

namespace callgate {
namespace {

constexpr size_t kMapsBytesMax = size_t{256} << 10;
// The copy is among the first things that a program allocates.
constexpr uint64_t kHeapBytesMax = uint64_t{8} << 20;
constexpr uint64_t kPointerBytes = sizeof(uint64_t);

struct Range {
    uint64_t begin = 0, end = 0;
};

// "55d0c8a5b000-55d0c8c41000 rw-p 00000000 00:00 0     [heap]"
Range heap_of(const ProcessDir& dir) {
    Result<std::string> maps = dir.read("maps", kMapsBytesMax);
    const size_t name = maps.ok() ? maps->find("[heap]\n") : std::string::npos;
    if (name == std::string::npos) return {};
    const size_t line = maps->rfind('\n', name);
    char* after = nullptr;
    Range heap;
    heap.begin = strtoull(maps->c_str() + (line == std::string::npos ? 0 : line + 1), &after, 16);
    heap.end = strtoull(after + 1, nullptr, 16);
    return heap;
}

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

// The strings behind the table at `offset`, or none where there is no table.
std::vector<std::string> strings_of_table(const Memory& memory, size_t offset, size_t strings_bytes) {
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
        const size_t end = text.find('\0', at);
        if (end == std::string_view::npos) return {};
        found.emplace_back(text.substr(at, end - at));
        at = end + 1;
    }
    return at == text.size() ? found : std::vector<std::string>();
}

}  // namespace

std::vector<std::string> original_argv(const ProcessDir& dir) {
    Result<ProcessStat> stat = dir.stat();
    const Range heap = heap_of(dir);
    if (!stat.ok() || stat->argv_bytes == 0 || heap.begin >= heap.end) return {};
    const Memory memory{heap.begin, dir.memory(heap.begin, std::min(heap.end - heap.begin, kHeapBytesMax))};
    for (size_t offset = 0; offset + kPointerBytes <= memory.bytes.size(); offset += kPointerBytes) {
        std::vector<std::string> argv = strings_of_table(memory, offset, stat->argv_bytes);
        if (!argv.empty()) return argv;
    }
    return {};
}

}  // namespace callgate
