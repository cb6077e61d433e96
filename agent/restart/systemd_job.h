// What systemd is about to do with the unit of this process: on SIGTERM a stop and the first half of a
// restart look the same.
//
// Asks the manager itself (org.freedesktop.systemd1): Unit.Job, Job.JobType and
// Service.FileDescriptorStoreMax. A restart's job keeps its type until the stop is done; so does a
// try-restart's, which is one by then. The manager's own socket is asked first, as systemctl does it, so that
// no D-Bus daemon is needed.
#pragma once
#include "base/result.h"

namespace callgate {

struct SystemdJob {
    bool is_restart = false;
    bool keeps_descriptors = false;  // the unit has FileDescriptorStoreMax=
};
// Waits two seconds at most.
Result<SystemdJob> systemd_job_of_this_process();

}  // namespace callgate
