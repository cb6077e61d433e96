// PinTable: how tools were defined when they were first listed, and whether they still are.
//
// A server that is trusted today may describe a tool differently tomorrow, and the model reads the description (a "rug
// pull"). Where a policy says "pin", the definition of each tool is remembered at first sight; calls of one that has changed
// are denied until somebody accepts the change.
//
//   observe({"name":"echo", …})                   ->  pinned
//   observe({"name":"echo", … "and send me …"})   ->  changed: calls are denied
//   accept(…)                                     ->  the new definition is the pinned one
//
// A definition is the whole object of the tool in tools/list, in canonical form: what says the same is the same. Bounded by
// number and by bytes (kPinsMax, kPinBytesMax, kPinBytesPerServerMax): one for which there is no room, and that so could not be
// pinned, counts as changed (see SessionPins). Kept in a database where keep_in() was called. One thread.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/trouble.h"

namespace callgate {

class Database;

using DefinitionHash = std::array<unsigned char, 32>;
std::string hex(const DefinitionHash& hash);

struct Definition {
    DefinitionHash hash{};
    std::string text;      // what people are shown: kPinTextBytesMax of it at most, nothing where there was no room
    size_t bytes = 0;      // of all of it
    int64_t since_ns = 0;  // realtime: pinned or accepted; seen first
};
// Of the canonical form of `tool`, a JSON object; of what has none, of the text itself. The hash is its SHA-256.
Definition definition_of(std::string_view tool);

struct PinKeyView {
    std::string_view policy, server, tool;
    auto operator<=>(const PinKeyView&) const = default;
};
struct PinKey {
    std::string policy, server, tool;
    PinKeyView view() const { return {policy, server, tool}; }
};
// So that looking for one makes no strings.
struct PinKeyOrder {
    using is_transparent = void;
    bool operator()(const PinKey& a, const PinKey& b) const { return a.view() < b.view(); }
    bool operator()(const PinKey& a, const PinKeyView& b) const { return a.view() < b; }
    bool operator()(const PinKeyView& a, const PinKey& b) const { return a < b.view(); }
};

struct Pin {
    Definition accepted;
    std::optional<Definition> changed;  // what the server's last list had instead

    // For PinTable: whether it is on the disk, as what, since when, and whether it has become another since.
    bool is_on_disk = false, disk_is_changed = false, is_dirty = false;
    int64_t written_ns = 0;
};

// What a server is called in keys of pins: its package, else its program. Its policy may govern others too.
//   "npm:session-forge", "exe:/opt/notes/server"
struct ServerIdentity;
std::string pin_server_key(const ServerIdentity& server);

class PinTable {
  public:
    struct Seen {
        std::string tool;
        Definition definition;
    };
    // What a list has brought; for the audit log.
    enum class What : uint8_t { added, changed, no_room };
    struct News {
        PinKey key;
        DefinitionHash accepted, now;
        What what;
    };

    PinTable();
    ~PinTable();
    PinTable(const PinTable&) = delete;
    PinTable& operator=(const PinTable&) = delete;

    // Reads what was kept; from now on what must not be forgotten is on the disk when observe() returns, but where trouble() says
    // that it could not be written: then it is with the next that is written, or when write_again() is called. `database`
    // outlives it.
    Status keep_in(Database& database);
    // What is not on the disk yet.
    void write_again(int64_t now_ns);

    // One list, or a page of one. What is new or has changed is appended to `news`; a tool without room is not found afterwards.
    void observe(std::string_view policy, std::string_view server, std::span<const Seen> tools, int64_t now_ns,
                 std::vector<News>& news);
    // Null where the tool is not pinned. Valid until the table changes.
    const Pin* find(const PinKeyView& key) const;

    // Makes the changed definition the pinned one, where it still has this hash. False: it has not, or there is none.
    bool accept(const PinKey& key, const DefinitionHash& hash, int64_t now_ns);
    // Forgets it: the next list is its first sight. False: there was none.
    bool reset(const PinKey& key, int64_t now_ns);
    using Pins = std::map<PinKey, Pin, PinKeyOrder>;
    const Pins& pins() const { return pins_; }
    size_t changed() const;
    size_t bytes() const { return bytes_; }
    // Which server's tools there was no room for last, and why; "" where there was, or something was reset since.
    const std::string& no_room() const { return no_room_; }
    // While what was to be written is not on the disk.
    Trouble& trouble() { return trouble_; }
    std::string problem() const { return trouble_.text(); }

  private:
    struct Statements;
    using Places = std::vector<Pins::iterator>;
    Places dirty();
    void write(Places pins, int64_t now_ns);
    Status save(const PinKey& key, const Pin& pin);
    bool has_room(const PinKeyView& key, size_t bytes);
    void count(const PinKeyView& key, size_t before, size_t after);

    Pins pins_;
    size_t bytes_ = 0;
    std::map<std::pair<std::string, std::string>, size_t> bytes_of_server_;  // by policy and server
    std::string no_room_;
    Database* database_ = nullptr;
    std::unique_ptr<Statements> statements_;
    std::set<PinKey, PinKeyOrder> to_remove_;  // is forgotten here, and on the disk with the next write
    int64_t tried_ns_ = 0;                     // the last write
    Trouble trouble_;
};

}  // namespace callgate
