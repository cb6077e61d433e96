// PolicyWatch: reads the policies and the grants again when something changes in CONFIG/policies.d or CONFIG/grants.json, on
// a thread of its own.
//
// Sees files that are written, renamed into place (editors), linked anew (a ConfigMap's ..data), and the whole directory
// being swapped for another, by name or by link. Waits until nothing has changed for kPolicyQuiet, so that a change of
// several files is one; at most kPolicyQuietMax.
//
//   vim policies.d/x.json :w   ->  changed(the policies as they are now), once
#pragma once
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "policy/grant_store.h"
#include "policy/store.h"

namespace callgate {

class PolicyWatch {
  public:
    struct Loaded {
        std::shared_ptr<const PolicyStore> policies;  // null: the directory could not be read, `error` says why
        std::shared_ptr<const GrantStore> grants;     // never null
        std::string error;
        std::vector<std::function<void()>> asked;  // by reload(): to be called when the policies are in force
    };
    // On the watch's thread: when something is not as before, and whenever reload() was called.
    using Changed = std::function<void(Loaded)>;

    static Result<std::unique_ptr<PolicyWatch>> start(std::string config_directory, std::shared_ptr<const PolicyStore> policies,
                                                      std::shared_ptr<const GrantStore> grants, Changed changed);
    ~PolicyWatch();

    // From any thread: read everything now, changed or not.
    void reload(std::function<void()> done);
    // From any thread: what changes from here on is left to the next agent; reload() still reads. To close what watches takes the
    // kernel some tens of milliseconds, which nobody waits for now.
    void watch_no_more();

  private:
    PolicyWatch(std::string config, std::shared_ptr<const PolicyStore> policies, std::shared_ptr<const GrantStore> grants,
                Changed changed)
        : config_(std::move(config)), policies_(std::move(policies)), grants_(std::move(grants)), changed_(std::move(changed)) {}
    void run();
    void settle();
    void add_watches();
    void load();

    const std::string config_;
    std::shared_ptr<const PolicyStore> policies_;
    std::shared_ptr<const GrantStore> grants_;
    std::string error_;
    Changed changed_;
    Fd inotify_, wake_;
    int directory_ = -1;  // the watch of what policies.d is at the moment
    std::mutex mutex_;
    std::vector<std::function<void()>> asked_;
    bool stopping_ = false, watches_ = true;
    std::thread thread_;
};

}  // namespace callgate
