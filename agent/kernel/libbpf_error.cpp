#include "kernel/libbpf_error.h"

#include <bpf/libbpf.h>

#include <cstdarg>

namespace callgate {
namespace {

constexpr size_t kKeptBytes = 8192, kShownBytes = 2000;

thread_local std::string last_complaint;

int remember_complaint(libbpf_print_level level, const char* format, va_list arguments) {
    if (level != LIBBPF_WARN) return 0;
    char line[1024];
    int length = vsnprintf(line, sizeof(line), format, arguments);
    if (last_complaint.size() < kKeptBytes) last_complaint += line;
    return length;
}

}  // namespace

void collect_complaints() {
    last_complaint.clear();
    libbpf_set_print(remember_complaint);
}

Error libbpf_error(const char* call, const char* object, int code) {
    Error error = Error::system(call, object, -code);
    if (!last_complaint.empty()) error.where += " (" + last_complaint.substr(0, kShownBytes) + ")";
    return error;
}

}  // namespace callgate
