// A service that does on SIGTERM what the agent does, and says what it finds: for tests under a real systemd.
//
//   restart_probe LOG      appends a line each: "started, 2 descriptors", "restart, kept", "stop"
#include <signal.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <cstdio>

#include "restart/carrier.h"
#include "restart/parcel.h"
#include "restart/systemd_job.h"

using namespace callgate;

int main(int argc, char** argv) {
    FILE* log = argc == 2 ? fopen(argv[1], "ae") : nullptr;
    if (!log) return 2;
    setlinebuf(log);
    Carrier carrier = Carrier::from_environment();
    size_t descriptors = 0;
    if (const Fd left = carrier.take()) {
        if (auto bundles = unpack(left))
            for (const Bundle& each : *bundles) descriptors += each.fds.size();
    }
    carrier.forget();
    fprintf(log, "started, %zu descriptors\n", descriptors);

    sigset_t end;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, nullptr);
    sd_notify(0, "READY=1");
    int signal = 0;
    sigwait(&end, &signal);

    auto job = systemd_job_of_this_process();
    if (!job) {
        fprintf(log, "%s\n", job.error().text().c_str());
        return 1;
    }
    if (!job->is_restart || !job->keeps_descriptors) {
        fprintf(log, "%s\n", job->is_restart ? "restart, and nothing is kept" : "stop");
        return 0;
    }
    std::vector<Bundle> bundles;
    bundles.emplace_back().label = "session";
    for (const int fd : {0, 1}) bundles.back().fds.push_back(Fd::adopt(dup(fd)));
    auto parcel = pack(bundles);
    const Status kept = parcel ? carrier.keep(*parcel) : Status(parcel.error());
    fprintf(log, "restart, %s\n", kept ? "kept" : kept.error().text().c_str());
}
