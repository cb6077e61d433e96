#include "policy/counter_turns.h"

#include <algorithm>
#include <cstring>

#include "base/fault_point.h"

namespace callgate {
namespace {

// In the ledger: a head, then for each counter its change, its key and its slices. Same machine, same build of the format.
struct Head {
    uint64_t file, turn;
    uint32_t changes, padding;
};
struct Fixed {
    int64_t window_s, max, newest;
    uint32_t cell;
    int32_t scale;
    uint16_t key_bytes, slices;
    CounterKind kind;
    uint8_t padding[3];
};

template <typename Part>
void append(std::string& text, const Part& part) {
    text.append(reinterpret_cast<const char*>(&part), sizeof(part));
}

template <typename Part>
bool take(std::string_view& text, Part& part) {
    if (text.size() < sizeof(part)) return false;
    memcpy(&part, text.data(), sizeof(part));
    text.remove_prefix(sizeof(part));
    return true;
}

}  // namespace

CounterImage CounterTurns::Change::image() const {
    CounterImage image = what;
    image.slices = {slices.data(), slices_used};
    return image;
}

bool CounterTurns::save(uint32_t cell, std::string_view key, const CounterImage& image) {
    if (depth_ == 0) return file_.save(cell, key, image);
    auto known = std::find_if(changes().begin(), changes().end(), [&](const Change& each) { return each.cell == cell; });
    if (known == changes().end()) {
        if (used_ == kChangesMost) write();
        if (used_ == changes_.size()) changes_.emplace_back();
        known = changes().end();
        ++used_;
    }
    Change& change = *known;
    change.cell = cell;
    change.key = key;
    change.what = image;
    change.what.slices = {};
    change.slices_used = std::min(image.slices.size(), change.slices.size());
    std::copy_n(image.slices.begin(), change.slices_used, change.slices.begin());
    return true;
}

void CounterTurns::erase(uint32_t cell) {
    const auto known = std::find_if(changes().begin(), changes().end(), [&](const Change& each) { return each.cell == cell; });
    if (known != changes().end()) std::swap(*known, changes_[--used_]);
    file_.erase(cell);
}

void CounterTurns::end_turn() {
    if (--depth_ == 0) write();
}

std::string_view CounterTurns::text(size_t bytes_max) {
    text_.clear();
    if (used_ == 0 && !is_named_) return {};
    append(text_, Head{file_.id(), file_.last_turn() + 1, static_cast<uint32_t>(used_), 0});
    for (const Change& each : changes()) {
        append(text_, Fixed{each.what.window_s,
                            each.what.max,
                            each.what.newest,
                            each.cell,
                            each.what.scale,
                            static_cast<uint16_t>(each.key.size()),
                            static_cast<uint16_t>(each.slices_used),
                            each.what.kind,
                            {}});
        text_ += each.key;
        text_.append(reinterpret_cast<const char*>(each.slices.data()), each.slices_used * sizeof(int64_t));
    }
    if (text_.size() <= bytes_max) return text_;
    write();
    return {};
}

std::string CounterTurns::turn() {
    if (depth_ == 0) return {};
    is_named_ = true;
    return unfinished();
}

std::string CounterTurns::unfinished() { return std::to_string(file_.id()) + "." + std::to_string(file_.last_turn() + 1); }

void CounterTurns::write() {
    if (used_ == 0 && !is_named_) return;
    for (const Change& each : changes()) (void)file_.save(each.cell, each.key, each.image());
    fault_point("counters saved");
    file_.set_last_turn(file_.last_turn() + 1);
    used_ = 0;
    is_named_ = false;
}

// Each change says what its counter comes to: to make it twice does no harm.
void CounterTurns::redo(std::string_view text, const Redone& redone) {
    Head head;
    if (!take(text, head) || head.file != file_.id() || head.turn != file_.last_turn() + 1) return;
    for (uint32_t i = 0; i < head.changes; ++i) {
        Fixed fixed;
        std::array<int64_t, kSlidingSlices + 1> slices;
        const size_t bytes = take(text, fixed) ? fixed.slices * sizeof(int64_t) : 0;
        if (bytes == 0 || fixed.slices > slices.size() || text.size() < fixed.key_bytes + bytes) return;
        const std::string_view key = text.substr(0, fixed.key_bytes);
        memcpy(slices.data(), text.data() + fixed.key_bytes, bytes);
        text.remove_prefix(fixed.key_bytes + bytes);
        const CounterImage image{fixed.window_s, fixed.max, fixed.newest, fixed.scale, fixed.kind, {slices.data(), fixed.slices}};
        (void)file_.save(fixed.cell, key, image);
        redone(fixed.cell, key, image);
    }
    file_.set_last_turn(head.turn);
}

}  // namespace callgate
