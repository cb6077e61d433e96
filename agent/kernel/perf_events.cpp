#include "kernel/perf_events.h"

#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "base/fd.h"
#include "kernel/libbpf_error.h"

namespace callgate {
namespace {

// The root of tracefs, whether or not anybody has mounted it where it is usually found.
Result<Fd> open_tracefs() {
    for (const char* place : {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}) {
        Fd found = Fd::adopt(open(place, O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (found && faccessat(found.get(), "events", F_OK, 0) == 0) return found;
    }
    const Fd context = Fd::adopt(static_cast<int>(syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC)));
    if (!context) return Error::system("fsopen", "tracefs", errno);
    if (syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0))
        return Error::system("fsconfig", "tracefs", errno);
    Fd mount = Fd::adopt(static_cast<int>(syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, 0)));
    if (!mount) return Error::system("fsmount", "tracefs", errno);
    return mount;
}

Result<uint64_t> number_of(const std::string& event) {
    const Fd tracefs = TRY(open_tracefs());
    const std::string path = "events/" + event + "/id";
    const Fd file = Fd::adopt(openat(tracefs.get(), path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return Error::system("open", "tracefs: " + path, errno);
    char text[32];
    const ssize_t length = read(file.get(), text, sizeof(text));
    uint64_t number = 0;
    if (length <= 0 || std::from_chars(text, text + length, number).ec != std::errc())
        return Error::system("read", "tracefs: " + path, length < 0 ? errno : EINVAL);
    return number;
}

}  // namespace

bool has_event(const std::string& event) { return number_of(event).ok(); }

Result<Link> attach_to_event(const bpf_program* program, const std::string& event) {
    perf_event_attr attributes{};
    attributes.size = sizeof(attributes);
    attributes.type = PERF_TYPE_TRACEPOINT;
    attributes.config = TRY(number_of(event));
    // The program runs on every processor, wherever its event counts (perf_event_set_bpf_prog).
    Fd perf =
        Fd::adopt(static_cast<int>(syscall(SYS_perf_event_open, &attributes, -1, sched_getcpu(), -1, PERF_FLAG_FD_CLOEXEC)));
    if (!perf) return Error::system("perf_event_open", event, errno);
    Link link(bpf_program__attach_perf_event(program, perf.get()));
    if (!link) return libbpf_error("attach", event.c_str(), -errno);
    (void)perf.release();  // the link closes it
    return link;
}

}  // namespace callgate
