// SessionPins: what one session has been shown of pinned tools. The model of a session that was shown a changed definition
// has read it, so calls of it stay denied in that session until the change is accepted, also when the server shows the old one
// again.
//
//   pins.is_changed(policy, "echo")   before any list: as the server's last list was, in whatever session
//                                     after one: as that list was
//
// Bounded as the pins of one server are (kPinBytesPerServerMax), so that it holds whatever can be pinned of it; beyond that a
// tool counts as changed.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "policy/pins.h"

namespace callgate {

class SessionPins {
  public:
    SessionPins() = default;  // of nothing: no tool has changed
    // `table` outlives it. `server`: pin_server_key().
    SessionPins(PinTable& table, std::string server) : table_(&table), server_(std::move(server)) {}

    // `response`: an answer that may be a list of tools. `pins`: whether the policy pins this tool.
    // False where it is none.
    bool observe(std::string_view policy, std::string_view response, const std::function<bool(std::string_view)>& pins,
                 std::vector<PinTable::News>& news);
    // The server has answered with a list that cannot be read, and that its client may read all the same: every tool may
    // have changed. True where that is new.
    bool note_unreadable() { return table_ != nullptr && !std::exchange(is_unreadable_, true); }
    // `policy`: by name. Of a tool that it pins.
    bool is_changed(std::string_view policy, std::string_view tool) const;
    const std::string& server() const { return server_; }

    // What it has been shown, for the same session in another process.
    struct Saved {
        std::vector<std::pair<std::string, std::optional<DefinitionHash>>> seen;
        bool is_unreadable = false, is_full = false;
        bool empty() const { return seen.empty() && !is_unreadable && !is_full; }
    };
    Saved save() const { return {{seen_.begin(), seen_.end()}, is_unreadable_, is_full_}; }
    void restore(const Saved& saved);

  private:
    struct Hash {
        using is_transparent = void;
        size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };
    bool has_room(std::string_view tool) const;
    void remember(const std::string& tool, const std::optional<DefinitionHash>& hash);

    PinTable* table_ = nullptr;
    std::string server_;
    // Nothing: there was no room to pin it.
    std::unordered_map<std::string, std::optional<DefinitionHash>, Hash, std::equal_to<>> seen_;
    size_t seen_bytes_ = 0;
    bool is_unreadable_ = false;
    bool is_full_ = false;  // it was shown more than it remembers
};

}  // namespace callgate
