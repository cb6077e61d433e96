#include "policy/pins.h"

#include <sodium.h>

#include <cstring>
#include <memory>

#include "base/clock.h"
#include "base/limits.h"
#include "jsonrpc/canonical.h"
#include "session/identity.h"
#include "store/database.h"

namespace callgate {
namespace {

// 2: how long the definitions are.
constexpr int kSchemaVersion = 2;
constexpr const char* kSchema =
    "CREATE TABLE pins (policy TEXT, server TEXT, tool TEXT,"
    " hash BLOB NOT NULL, text TEXT NOT NULL, since INTEGER NOT NULL,"
    " changed_hash BLOB NOT NULL, changed_text TEXT NOT NULL, changed_since INTEGER NOT NULL,"  // empty: as it was
    " bytes INTEGER NOT NULL DEFAULT 0, changed_bytes INTEGER NOT NULL DEFAULT 0,"
    " PRIMARY KEY (policy, server, tool)) STRICT, WITHOUT ROWID";
constexpr const char* kUpgrade =
    "ALTER TABLE pins ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE pins ADD COLUMN changed_bytes INTEGER NOT NULL DEFAULT 0;"
    "UPDATE pins SET bytes = length(CAST(text AS BLOB)), changed_bytes = length(CAST(changed_text AS BLOB))";

std::string_view bytes_of(const DefinitionHash& hash) { return {reinterpret_cast<const char*>(hash.data()), hash.size()}; }

// False where it is none.
bool read_hash(std::string_view bytes, DefinitionHash& hash) {
    if (bytes.size() != hash.size()) return false;
    memcpy(hash.data(), bytes.data(), hash.size());
    return true;
}

size_t bytes_of(const PinKeyView& key, const Pin& pin) {
    return kPinOverheadBytes + key.policy.size() + key.server.size() + key.tool.size() + pin.accepted.text.size() +
           (pin.changed ? pin.changed->text.size() : 0);
}

}  // namespace

struct PinTable::Statements {
    Statement save, remove;
};

std::string hex(const DefinitionHash& hash) {
    char text[2 * sizeof hash + 1];
    sodium_bin2hex(text, sizeof text, hash.data(), hash.size());
    return text;
}

Definition definition_of(std::string_view tool) {
    Definition made;
    if (tool.size() > kPinOrderedBytesMax || !append_canonical(made.text, tool)) made.text = tool;
    crypto_hash_sha256(made.hash.data(), reinterpret_cast<const unsigned char*>(made.text.data()), made.text.size());
    made.bytes = made.text.size();
    if (made.text.size() > kPinTextBytesMax) made.text.resize(kPinTextBytesMax);
    return made;
}

std::string pin_server_key(const ServerIdentity& server) {
    if (server.package.name.empty()) return "exe:" + server.process.exe;
    return server.package.ecosystem + ":" + server.package.name;
}

PinTable::PinTable() = default;
PinTable::~PinTable() { write_again(realtime_ns()); }

Status PinTable::keep_in(Database& database) {
    TRY_VOID(database.use_schema("pins", kSchemaVersion, kSchema, [&](int) { return database.execute(kUpgrade); }));
    Statement all =
        TRY(database.prepare("SELECT policy, server, tool, hash, text, since, changed_hash, changed_text, changed_since, bytes,"
                             " changed_bytes FROM pins"));
    TRY_VOID(all.each([this](const Row& row) {
        Pin pin;
        pin.accepted.text = row.text(4);
        pin.accepted.since_ns = row.integer(5);
        pin.accepted.bytes = static_cast<size_t>(row.integer(9));
        if (!read_hash(row.blob(3), pin.accepted.hash)) return;
        Definition changed{{}, std::string(row.text(7)), static_cast<size_t>(row.integer(10)), row.integer(8)};
        if (read_hash(row.blob(6), changed.hash)) pin.changed = std::move(changed);
        pin.is_on_disk = true;
        pin.disk_is_changed = pin.changed.has_value();
        const PinKeyView key{row.text(0), row.text(1), row.text(2)};
        count(key, 0, bytes_of(key, pin));
        pins_.emplace(PinKey{std::string(key.policy), std::string(key.server), std::string(key.tool)}, std::move(pin));
    }));
    Statement save = TRY(database.prepare("INSERT OR REPLACE INTO pins VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"));
    Statement remove = TRY(database.prepare("DELETE FROM pins WHERE policy = ?1 AND server = ?2 AND tool = ?3"));
    statements_.reset(new Statements{std::move(save), std::move(remove)});
    database_ = &database;
    return {};
}

PinTable::Places PinTable::dirty() {
    Places found;
    for (auto each = pins_.begin(); each != pins_.end(); ++each)
        if (each->second.is_dirty) found.push_back(each);
    return found;
}

void PinTable::write_again(int64_t now_ns) {
    Places pins = dirty();
    if (!pins.empty() || !to_remove_.empty()) write(std::move(pins), now_ns);
}

// All of them or none, and with them whatever could not be written before.
void PinTable::write(Places pins, int64_t now_ns) {
    if (!database_) return;
    if (!problem().empty()) pins = dirty();
    tried_ns_ = now_ns;
    const Status done = database_->write([&]() -> Status {
        for (const PinKey& key : to_remove_) TRY_VOID(statements_->remove.run(key.policy, key.server, key.tool));
        for (const auto& each : pins) TRY_VOID(save(each->first, each->second));
        return {};
    });
    if (!done) return trouble_.begin(done.error().text());
    to_remove_.clear();
    for (const auto& each : pins) {
        Pin& pin = each->second;
        pin.is_on_disk = true;
        pin.disk_is_changed = pin.changed.has_value();
        pin.is_dirty = false;
        pin.written_ns = now_ns;
    }
    trouble_.end();
}

// Within a write().
Status PinTable::save(const PinKey& key, const Pin& pin) {
    const std::string_view changed_hash = pin.changed ? bytes_of(pin.changed->hash) : std::string_view();
    const std::string_view changed_text = pin.changed ? std::string_view(pin.changed->text) : std::string_view();
    return statements_->save.run(key.policy, key.server, key.tool, Blob{bytes_of(pin.accepted.hash)}, pin.accepted.text,
                                 pin.accepted.since_ns, Blob{changed_hash}, changed_text,
                                 pin.changed ? pin.changed->since_ns : int64_t{0}, static_cast<int64_t>(pin.accepted.bytes),
                                 pin.changed ? static_cast<int64_t>(pin.changed->bytes) : int64_t{0});
}

bool PinTable::has_room(const PinKeyView& key, size_t bytes) {
    const auto of_server = bytes_of_server_.find({std::string(key.policy), std::string(key.server)});
    const size_t used = of_server == bytes_of_server_.end() ? 0 : of_server->second;
    const char* why = used + bytes > kPinBytesPerServerMax ? "of one server are as many bytes pinned as may be"
                      : bytes_ + bytes > kPinBytesMax      ? "in all are as many bytes pinned as may be"
                                                           : nullptr;
    if (why != nullptr) no_room_ = std::string(key.policy) + ", " + std::string(key.server) + ": " + why;
    return why == nullptr;
}

void PinTable::count(const PinKeyView& key, size_t before, size_t after) {
    const auto found = bytes_of_server_.try_emplace({std::string(key.policy), std::string(key.server)}, 0).first;
    bytes_ += after - before;
    if ((found->second += after - before) == 0) bytes_of_server_.erase(found);
}

void PinTable::observe(std::string_view policy, std::string_view server, std::span<const Seen> tools, int64_t now_ns,
                       std::vector<News>& news) {
    Places to_write;
    for (const Seen& seen : tools) {
        const PinKeyView view{policy, server, seen.tool};
        const DefinitionHash& hash = seen.definition.hash;
        auto found = pins_.find(view);
        if (found == pins_.end()) {
            Pin pin;
            pin.accepted = seen.definition;
            pin.accepted.since_ns = now_ns;
            pin.is_dirty = true;
            const size_t bytes = bytes_of(view, pin);
            if (pins_.size() >= kPinsMax) {
                no_room_ = std::string(policy) + ", " + std::string(server) + ": as many tools are pinned as may be";
                continue;
            }
            if (!has_room(view, bytes)) continue;
            count(view, 0, bytes);
            PinKey key{std::string(policy), std::string(server), seen.tool};
            news.push_back({key, hash, hash, What::added});
            to_write.push_back(pins_.emplace(std::move(key), std::move(pin)).first);
            continue;
        }
        Pin& pin = found->second;
        const bool is_as_pinned = hash == pin.accepted.hash;
        if (is_as_pinned ? !pin.changed : pin.changed && pin.changed->hash == hash) continue;
        count(view, pin.changed ? pin.changed->text.size() : 0, 0);
        pin.changed.reset();
        if (!is_as_pinned) {
            pin.changed = seen.definition;
            pin.changed->since_ns = now_ns;
            // That it has changed is known without its text, too.
            if (!has_room(view, pin.changed->text.size())) pin.changed->text.clear();
            count(view, 0, pin.changed->text.size());
            news.push_back({found->first, pin.accepted.hash, hash, What::changed});
        }
        pin.is_dirty = true;
        // That it has changed must not be forgotten. The rest may be, so that a server that changes with every list cannot
        // keep the disk busy.
        const bool must_be_written = !pin.is_on_disk || (pin.changed && !pin.disk_is_changed);
        if (must_be_written || now_ns - pin.written_ns >= kPinWriteNanoseconds) to_write.push_back(found);
    }
    // On a full disk that is not tried with each list: all that is dirty is written then.
    const bool is_tried = !problem().empty() && now_ns - tried_ns_ < kPinWriteNanoseconds;
    if (!is_tried && (!to_write.empty() || !problem().empty())) write(std::move(to_write), now_ns);
}

const Pin* PinTable::find(const PinKeyView& key) const {
    const auto found = pins_.find(key);
    return found == pins_.end() ? nullptr : &found->second;
}

bool PinTable::accept(const PinKey& key, const DefinitionHash& hash, int64_t now_ns) {
    const auto found = pins_.find(key);
    if (found == pins_.end() || !found->second.changed || found->second.changed->hash != hash) return false;
    Pin& pin = found->second;
    count(key.view(), pin.accepted.text.size(), 0);
    pin.accepted = std::move(*pin.changed);
    pin.accepted.since_ns = now_ns;
    pin.changed.reset();
    pin.is_dirty = true;
    write({found}, now_ns);
    return true;
}

bool PinTable::reset(const PinKey& key, int64_t now_ns) {
    const auto found = pins_.find(key);
    if (found == pins_.end()) return false;
    count(key.view(), bytes_of(key.view(), found->second), 0);
    pins_.erase(found);
    no_room_.clear();
    if (database_) to_remove_.insert(key);
    write({}, now_ns);
    return true;
}

size_t PinTable::changed() const {
    size_t number = 0;
    for (const auto& [key, pin] : pins_) number += pin.changed.has_value();
    return number;
}

}  // namespace callgate
