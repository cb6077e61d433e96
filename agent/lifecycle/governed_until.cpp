#include "lifecycle/governed_until.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "kernel/proc.h"

namespace callgate {
namespace {

constexpr char kFileName[] = "/governed";

// "8c1ec8f7-5f4d-4e7a-9f0f-0a4e1d1c9b1e"
std::string this_boot() {
    auto text = read_small_file("/proc/sys/kernel/random/boot_id");
    return text ? text->substr(0, 36) : std::string();
}

}  // namespace

struct GovernedUntil::Page {
    char boot[40];
    std::atomic<int64_t> ns;  // 0: no agent should have been there
    bool is_of(const std::string& name) const { return !name.empty() && name.compare(0, name.npos, boot, name.size()) == 0; }
};

Result<std::unique_ptr<GovernedUntil>> GovernedUntil::open(const std::string& state_directory) {
    const std::string path = state_directory + kFileName;
    const Fd file = Fd::adopt(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return Error::system("open", path, errno);
    if (ftruncate(file.get(), sizeof(Page))) return Error::system("ftruncate", path, errno);
    void* mapped = mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (mapped == MAP_FAILED) return Error::system("mmap", path, errno);
    std::unique_ptr<GovernedUntil> until(new GovernedUntil(static_cast<Page*>(mapped)));
    Page& page = *until->page_;
    const std::string boot = this_boot();
    if (!page.is_of(boot)) page.ns = 0;
    strncpy(page.boot, boot.c_str(), sizeof(page.boot) - 1);
    if (page.ns == 0) until->note(now_ns());
    return until;
}

std::optional<uint64_t> GovernedUntil::read(const std::string& state_directory) {
    const std::string path = state_directory + kFileName;
    const Fd file = Fd::adopt(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    Page page{};
    if (!file || pread(file.get(), static_cast<void*>(&page), sizeof(page), 0) != sizeof(page)) return std::nullopt;
    if (!page.is_of(this_boot()) || page.ns == 0) return std::nullopt;
    return static_cast<uint64_t>(page.ns) / (1'000'000'000 / static_cast<uint64_t>(sysconf(_SC_CLK_TCK)));
}

GovernedUntil::~GovernedUntil() { munmap(page_, sizeof(Page)); }

void GovernedUntil::note(int64_t ns) {
    for (int64_t before = page_->ns; before < ns && !page_->ns.compare_exchange_weak(before, ns);) {
    }
}

void GovernedUntil::forget() { page_->ns = 0; }

}  // namespace callgate
