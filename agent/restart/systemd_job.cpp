#include "restart/systemd_job.h"

#include <systemd/sd-bus.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

namespace callgate {
namespace {

constexpr uint64_t kPatienceMicroseconds = 2'000'000;
constexpr char kManager[] = "org.freedesktop.systemd1";

struct CloseBus {
    void operator()(sd_bus* bus) const { sd_bus_close_unref(bus); }
};
struct DropMessage {
    void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
using Bus = std::unique_ptr<sd_bus, CloseBus>;
using Message = std::unique_ptr<sd_bus_message, DropMessage>;

// On the manager's own socket there is nobody but the manager, and no names.
struct Manager {
    Bus bus;
    const char* name;
};

Result<Manager> open_manager() {
    sd_bus* bus = nullptr;
    if (int error = sd_bus_new(&bus); error < 0) return Error::system("sd_bus_new", "", -error);
    Bus direct(bus);
    if (sd_bus_set_address(bus, "unix:path=/run/systemd/private") >= 0 && sd_bus_start(bus) >= 0)
        return Manager{std::move(direct), nullptr};
    bus = nullptr;
    if (int error = sd_bus_open_system(&bus); error < 0) return Error::system("sd_bus_open_system", "", -error);
    return Manager{Bus(bus), kManager};
}

Result<Message> property(const Manager& manager, const std::string& path, const char* interface, const char* name,
                         const char* type) {
    sd_bus_message* reply = nullptr;
    const int error = sd_bus_get_property(manager.bus.get(), manager.name, path.c_str(), interface, name, nullptr, &reply, type);
    if (error < 0) return Error::system("systemd", std::string(interface) + "." + name, -error);
    return Message(reply);
}

}  // namespace

Result<SystemdJob> systemd_job_of_this_process() {
    const Manager manager = TRY(open_manager());
    (void)sd_bus_set_method_call_timeout(manager.bus.get(), kPatienceMicroseconds);
    sd_bus_message* reply = nullptr;
    int error =
        sd_bus_call_method(manager.bus.get(), manager.name, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager",
                           "GetUnitByPID", nullptr, &reply, "u", static_cast<uint32_t>(getpid()));
    if (error < 0) return Error::system("systemd", "GetUnitByPID", -error);
    const Message unit(reply);
    const char* path = nullptr;
    if ((error = sd_bus_message_read(reply, "o", &path)) < 0) return Error::system("systemd", "GetUnitByPID", -error);

    SystemdJob job;
    const Message store = TRY(property(manager, path, "org.freedesktop.systemd1.Service", "FileDescriptorStoreMax", "u"));
    uint32_t store_max = 0;
    if ((error = sd_bus_message_read(store.get(), "u", &store_max)) < 0)
        return Error::system("systemd", "FileDescriptorStoreMax", -error);
    job.keeps_descriptors = store_max > 0;

    const Message current = TRY(property(manager, path, "org.freedesktop.systemd1.Unit", "Job", "(uo)"));
    uint32_t number = 0;
    const char* job_path = nullptr;
    if ((error = sd_bus_message_read(current.get(), "(uo)", &number, &job_path)) < 0)
        return Error::system("systemd", "Job", -error);
    if (number == 0) return job;
    const Message type = TRY(property(manager, job_path, "org.freedesktop.systemd1.Job", "JobType", "s"));
    const char* text = nullptr;
    if ((error = sd_bus_message_read(type.get(), "s", &text)) < 0) return Error::system("systemd", "JobType", -error);
    job.is_restart = text == std::string_view("restart");
    return job;
}

}  // namespace callgate
