// Steering that outlives its agent: the attachment in the kernel and the listeners in which steered
// connections wait.
//
//   an agent that ends   in the vault: one bundle for each network namespace
//   the next one         steers by itself; then lets go of the attachment, and accepts what waits
#include <spdlog/spdlog.h>

#include <charconv>

#include "lifecycle/http_table.h"

namespace callgate {
namespace {

using namespace std::chrono_literals;

// For how long connections that were being made when the attachment went are still accepted: a handshake with
// a host that is far away, and one packet of it lost.
constexpr auto kLeftListening = 5s;

std::string label_of(const NetworkNamespace& space) { return kSteeringLabel + std::to_string(space.inode()); }

uint32_t namespace_of(std::string_view label) {
    uint32_t inode = 0;
    label.remove_prefix(sizeof(kSteeringLabel) - 1);
    (void)std::from_chars(label.data(), label.data() + label.size(), inode);
    return inode;
}

}  // namespace

void HttpTable::use_vault(Vault& vault, std::vector<Vault::Found> left) {
    vault_ = &vault;
    left_ = std::move(left);
}

void HttpTable::keep(const NetworkNamespace& space) {
    if (!vault_) return;
    const auto put = [&]() -> Status {
        Bundle bundle{label_of(space), TRY(space.holding())};
        kept_[space.inode()] = TRY(vault_->add(bundle));
        return {};
    };
    if (Status kept = put(); !kept)
        spdlog::warn("between this agent and the next, servers can be reached directly: {}", kept.error().text());
}

void HttpTable::steering_is_complete() {
    std::vector<Vault::Found> left = std::exchange(left_, {});
    for (Vault::Found& each : left) {
        const auto space = space_of(namespace_of(each.bundle.label));
        each.entry->remove();
        if (each.bundle.fds.empty()) continue;
        each.bundle.fds.front().reset();
        if (!space) continue;
        for (size_t i = 1; i < each.bundle.fds.size(); ++i)
            acceptors_.push_back(std::make_unique<HttpAcceptor>(ring_, space, std::move(each.bundle.fds[i]), acceptor_events()));
    }
    start_accepting();
    place_those_that_waited();
    place_parked();
    ring_.after(kLeftListening, [this, alive = std::weak_ptr<bool>(alive_)] {
        if (alive.expired()) return;
        for (auto& each : acceptors_)
            if (each->was_left()) each->stop();
    });
}

}  // namespace callgate
