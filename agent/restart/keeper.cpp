#include "restart/keeper.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "audit/safe_text.h"
#include "base/capabilities.h"
#include "base/clock.h"
#include "restart/carrier.h"
#include "restart/keeper_store.h"

namespace callgate {
namespace {

constexpr int kExitInternal = 70;
constexpr int kExitNotFound = 127;  // as a shell says it
constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kPauseFirst = kSecond / 4, kPauseLast = 30 * kSecond;
constexpr int kFirstFree = SD_LISTEN_FDS_START + static_cast<int>(KeeperStore::kEntriesMax);
// Starts in vain after which the binary that is there by now is not trusted.
constexpr int kTrustedStarts = 2;
// An agent that says nothing for so long hangs. It says something four times as often, from its start on.
constexpr int64_t kWatchdog = 20 * kSecond;

bool is_permanent(int code) { return code == 2 || code == 77 || code == 78; }

void complain(const std::string& text) { fprintf(stderr, "callgate keep: %s\n", terminal_text(text).c_str()); }

class Keeper {
  public:
    Keeper(KeeperStore store, std::string binary, Fd own_image, Fd signals, const std::vector<std::string>& arguments)
        : store_(std::move(store)),
          binary_(std::move(binary)),
          own_image_(std::move(own_image)),
          signals_(std::move(signals)),
          arguments_(arguments) {}

    int run() {
        start();
        for (;;) {
            pollfd waiting[] = {{store_.socket(), POLLIN, 0}, {signals_.get(), POLLIN, 0}};
            ::poll(waiting, 2, milliseconds_to_wait());
            if (child_) store_.receive(child_);
            if (child_ && store_.take_alive()) alive_until_ns_ = monotonic_ns() + kWatchdog;
            if (child_ && monotonic_ns() > alive_until_ns_) {
                complain("the agent hangs");
                kill(child_, SIGKILL);
                alive_until_ns_ = monotonic_ns() + kWatchdog;
            }
            if (const std::optional<int> code = read_signals()) return *code;
            if (!child_ && monotonic_ns() >= start_at_ns_) start();
        }
    }

  private:
    int milliseconds_to_wait() const {
        if (child_) return static_cast<int>(std::max<int64_t>(alive_until_ns_ - monotonic_ns(), 0) / 1'000'000 + 1);
        return static_cast<int>(std::max<int64_t>(start_at_ns_ - monotonic_ns(), 0) / 1'000'000 + 1);
    }

    // The signals that the agent waits for stay blocked across exec: one that comes before it listens is not
    // lost.
    void start() {
        alive_until_ns_ = monotonic_ns() + kWatchdog;
        child_ = fork();
        if (child_ == 0) become_agent();
        if (child_ < 0) {
            complain("fork: " + Error::system("", "", errno).text());
            child_ = 0;
            start_at_ns_ = monotonic_ns() + kPauseFirst;
            return;
        }
        if (stopping_) kill(child_, SIGTERM);
    }

    [[noreturn]] void become_agent() {
        std::string names;
        std::vector<int> copies;
        // Out of the way first: the places to be taken may be those of others.
        const auto& entries = store_.entries();
        for (const KeeperStore::Entry& entry : entries) {
            names += (names.empty() ? "" : ":") + entry.name;
            copies.push_back(fcntl(entry.fd.get(), F_DUPFD, kFirstFree));
        }
        for (size_t i = 0; i < copies.size(); ++i) {
            dup2(copies[i], SD_LISTEN_FDS_START + static_cast<int>(i));
            ::close(copies[i]);
        }
        sigset_t child_ends;
        sigemptyset(&child_ends);
        sigaddset(&child_ends, SIGCHLD);
        sigprocmask(SIG_UNBLOCK, &child_ends, nullptr);
        setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
        setenv("LISTEN_FDS", std::to_string(entries.size()).c_str(), 1);
        setenv("LISTEN_FDNAMES", names.c_str(), 1);
        setenv("NOTIFY_SOCKET", store_.address().c_str(), 1);
        setenv(kKeeperVariable, "1", 1);
        setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
        setenv("WATCHDOG_USEC", std::to_string(kWatchdog / 1000).c_str(), 1);
        std::vector<char*> words{const_cast<char*>("callgate")};
        for (const std::string& word : arguments_) words.push_back(const_cast<char*>(word.c_str()));
        words.push_back(nullptr);
        if (in_vain_ < kTrustedStarts) execv(binary_.c_str(), words.data());
        if (in_vain_ < kTrustedStarts) complain("execv " + binary_ + ": " + Error::system("", "", errno).text());
        fexecve(own_image_.get(), words.data(), environ);
        complain("fexecve of the keeper's own binary: " + Error::system("", "", errno).text());
        _exit(kExitNotFound);
    }

    // The exit code, where this is the end.
    std::optional<int> read_signals() {
        signalfd_siginfo info;
        while (::read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
            if (info.ssi_signo == SIGCHLD) continue;
            if (info.ssi_signo != SIGHUP) {
                stopping_ = true;
                start_at_ns_ = 0;  // what waits to be given back need not wait out a pause
            }
            if (child_) kill(child_, static_cast<int>(info.ssi_signo));
        }
        int status = 0;
        if (child_ && waitpid(child_, &status, WNOHANG) == child_) return ended(status);
        if (!child_ && stopping_ && store_.entries().empty()) return 0;
        return std::nullopt;
    }

    std::optional<int> ended(int status) {
        store_.receive(child_);  // what it sent last
        child_ = 0;
        const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        const bool has_left = !store_.entries().empty();
        const bool was_ready = store_.take_ready();
        if (code == 0 && store_.has(kStoreName)) {
            in_vain_ = 0;
            start_at_ns_ = 0;
            return std::nullopt;
        }
        if (code == 0 || is_permanent(code)) return code;
        in_vain_ = was_ready ? 0 : in_vain_ + 1;
        if (in_vain_ >= kStartsMax && has_left) {
            complain("what it kept goes: none of " + std::to_string(in_vain_) + " agents could go on with it");
            store_.clear();
        }
        // What one that was to stop had not given back yet is given back by another one, which is stopped, too.
        if (stopping_ && (store_.entries().empty() || (was_ready && ++stopped_in_vain_ >= kStartsMax))) return code;
        // One that was at work is followed at once: sessions wait. So they do in a stop.
        const bool at_once = in_vain_ == 0 || stopping_;
        const int64_t pause = at_once ? 0 : std::min(kPauseFirst << std::min(in_vain_ - 1, 7), kPauseLast);
        complain("the agent ended with " + std::to_string(code) + "; another starts " +
                 (pause == 0 ? "now" : "in " + std::to_string(pause / 1'000'000) + " ms"));
        start_at_ns_ = monotonic_ns() + pause;
        return std::nullopt;
    }

    KeeperStore store_;
    std::string binary_;
    Fd own_image_;
    Fd signals_;
    const std::vector<std::string>& arguments_;
    pid_t child_ = 0;
    bool stopping_ = false;
    int in_vain_ = 0;                               // agents in a row that were not ready
    int stopped_in_vain_ = 0;                       // that were, and ended before they had given everything back
    int64_t start_at_ns_ = 0, alive_until_ns_ = 0;  // monotonic
};

Result<int> keep(const std::vector<std::string>& arguments) {
    (void)limit_capabilities(kOfAgent);  // the agent does it again, and says where it cannot
    // Read now: once another file is in its place the kernel calls this one deleted.
    char binary[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", binary, sizeof(binary));
    if (length <= 0) return Error::system("readlink", "/proc/self/exe", errno);
    KeeperStore store = TRY(KeeperStore::create());
    sigset_t handled;
    sigemptyset(&handled);
    for (int each : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&handled, each);
    if (sigprocmask(SIG_BLOCK, &handled, nullptr)) return Error::system("sigprocmask", "", errno);
    Fd signals = Fd::adopt(signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals) return Error::system("signalfd", "", errno);
    // Where no descriptor of an agent's will be.
    const Fd image = Fd::adopt(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    Fd own_image = Fd::adopt(fcntl(image.get(), F_DUPFD_CLOEXEC, kFirstFree));
    if (!own_image) return Error::system("open", "/proc/self/exe", errno);
    return Keeper(std::move(store), {binary, static_cast<size_t>(length)}, std::move(own_image), std::move(signals), arguments)
        .run();
}

}  // namespace

int run_keeper(const std::vector<std::string>& arguments) {
    const Result<int> code = keep(arguments);
    if (code) return code.value();
    complain(code.error().text());
    return kExitInternal;
}

}  // namespace callgate
