#include "lifecycle/policy_watch.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/capabilities.h"
#include "base/clock.h"
#include "base/limits.h"

namespace callgate {
namespace {

// Reading is none of them: load() must not wake itself.
constexpr uint32_t kEvents =
    IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;

}  // namespace

Result<std::unique_ptr<PolicyWatch>> PolicyWatch::start(std::string config_directory, std::shared_ptr<const PolicyStore> policies,
                                                        std::shared_ptr<const GrantStore> grants, Changed changed) {
    std::unique_ptr<PolicyWatch> watch(
        new PolicyWatch(std::move(config_directory), std::move(policies), std::move(grants), std::move(changed)));
    watch->inotify_ = Fd::adopt(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!watch->inotify_) return Error::system("inotify_init1", "", errno);
    watch->wake_ = Fd::adopt(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!watch->wake_) return Error::system("eventfd", "", errno);
    watch->add_watches();
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    watch->thread_ = std::thread([raw = watch.get()] {
        (void)keep_capabilities(kOfFiles);
        raw->run();
    });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_setname_np(watch->thread_.native_handle(), "cg-policies");
    return watch;
}

// A watch belongs to what a name leads to at the moment; adding it again where it is there already changes nothing.
void PolicyWatch::add_watches() {
    (void)inotify_add_watch(inotify_.get(), config_.c_str(), kEvents);
    const int now = inotify_add_watch(inotify_.get(), (config_ + "/policies.d").c_str(), kEvents);
    if (now != directory_ && directory_ >= 0) (void)inotify_rm_watch(inotify_.get(), directory_);
    directory_ = now;
}

void PolicyWatch::run() {
    load();  // what has changed since the agent read them
    while (true) {
        pollfd waiting[2] = {{inotify_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
        (void)::poll(waiting, 2, -1);
        uint64_t count = 0;
        if (waiting[1].revents) (void)!::read(wake_.get(), &count, sizeof count);
        bool watches;
        {
            std::lock_guard lock(mutex_);
            if (stopping_) return;
            watches = watches_;
        }
        if (!watches) inotify_.reset();
        if (watches && waiting[0].revents) settle();
        // What changes from here on is seen as the next change.
        add_watches();
        load();
    }
}

// Reads what has changed until nothing changes any more.
void PolicyWatch::settle() {
    alignas(inotify_event) std::array<char, 16384> events;
    const int64_t end_ns = monotonic_ns() + std::chrono::nanoseconds(kPolicyQuietMax).count();
    pollfd waiting{inotify_.get(), POLLIN, 0};
    do {
        while (::read(inotify_.get(), events.data(), events.size()) > 0) {
        }
    } while (monotonic_ns() < end_ns && ::poll(&waiting, 1, static_cast<int>(kPolicyQuiet.count())) > 0);
}

void PolicyWatch::load() {
    Loaded loaded;
    {
        std::lock_guard lock(mutex_);
        loaded.asked.swap(asked_);
    }
    Result<PolicyStore> found = PolicyStore::load(config_ + "/policies.d", policies_.get());
    std::string error;
    if (!found) {
        error = found.error().text();
    } else if (!found->is_same(*policies_)) {
        policies_ = std::make_shared<const PolicyStore>(std::move(*found));
        loaded.policies = policies_;
    }
    GrantStore grants = GrantStore::load(config_, grants_.get());
    const bool are_new_grants = !grants.is_same(*grants_);
    if (are_new_grants) grants_ = std::make_shared<const GrantStore>(std::move(grants));
    loaded.grants = grants_;
    const bool is_news = loaded.policies != nullptr || error != error_ || are_new_grants;
    error_ = error;
    if (!is_news && loaded.asked.empty()) return;
    if (!loaded.policies && error.empty()) loaded.policies = policies_;
    loaded.error = std::move(error);
    changed_(std::move(loaded));
}

void PolicyWatch::reload(std::function<void()> done) {
    {
        std::lock_guard lock(mutex_);
        asked_.push_back(std::move(done));
    }
    const uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
}

void PolicyWatch::watch_no_more() {
    {
        std::lock_guard lock(mutex_);
        watches_ = false;
    }
    const uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
}

PolicyWatch::~PolicyWatch() {
    if (!thread_.joinable()) return;
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    const uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
    thread_.join();
}

}  // namespace callgate
