#include "enforce/pending_notes.h"

#include <cstring>
#include <unordered_map>

namespace callgate {
namespace {

void put(std::string& out, int64_t number) {
    char bytes[sizeof(number)];
    memcpy(bytes, &number, sizeof(number));
    out.append(bytes, sizeof(bytes));
}

void put_length(std::string& out, size_t at) {
    const auto length = static_cast<uint32_t>(out.size() - at - sizeof(uint32_t));
    memcpy(out.data() + at, &length, sizeof(length));
}

void put(std::string& out, std::string_view text) {
    const size_t at = out.size();
    out.append(sizeof(uint32_t), '\0');
    out += text;
    put_length(out, at);
}

struct Reader {
    std::string_view rest;
    bool failed = false;

    std::string_view take(size_t bytes) {
        if (bytes > rest.size()) failed = true;
        if (failed) return {};
        const std::string_view taken = rest.substr(0, bytes);
        rest.remove_prefix(bytes);
        return taken;
    }
    int64_t number() {
        int64_t value = 0;
        const std::string_view bytes = take(sizeof(value));
        if (!failed) memcpy(&value, bytes.data(), sizeof(value));
        return value;
    }
    std::string_view text() {
        uint32_t length = 0;
        const std::string_view bytes = take(sizeof(length));
        if (!failed) memcpy(&length, bytes.data(), sizeof(length));
        return take(length);
    }
};

// Of a use, in one number. What is not there in notes of before is false.
constexpr int64_t kKeepsFailed = 1, kReturnsUnanswered = 2;

void put_use(std::string& out, const KeptUse& kept) {
    put(out, std::string_view(kept.key));
    put(out, std::string_view(kept.counter));
    const CounterUse& use = kept.use;
    const int64_t ends = (use.keeps_failed ? kKeepsFailed : 0) | (use.returns_unanswered ? kReturnsUnanswered : 0);
    for (const int64_t number : {use.window_start_s, use.amount, use.count_after, use.max, use.slice, int64_t{use.scale}, ends,
                                 int64_t{use.is_in_flight}})
        put(out, number);
}

KeptUse use_of(Reader& reader) {
    KeptUse kept;
    kept.key = reader.text();
    kept.counter = reader.text();
    for (int64_t* number : {&kept.use.window_start_s, &kept.use.amount, &kept.use.count_after, &kept.use.max, &kept.use.slice})
        *number = reader.number();
    kept.use.scale = static_cast<int32_t>(reader.number());
    const int64_t ends = reader.number();
    kept.use.keeps_failed = (ends & kKeepsFailed) != 0;
    kept.use.returns_unanswered = (ends & kReturnsUnanswered) != 0;
    kept.use.is_in_flight = reader.number() != 0;
    return kept;
}

PendingState request_of(Reader& reader) {
    PendingState request;
    request.id_key = reader.text();
    request.record = reader.text();
    request.method = reader.text();
    request.tool = reader.text();
    request.forwarded_ns = reader.number();
    request.shares_id = reader.number() != 0;
    const int64_t uses = reader.number();
    for (int64_t i = 0; i < uses && !reader.failed; ++i) request.charged.push_back(use_of(reader));
    return request;
}

}  // namespace

void append_added(std::string& notes, const PendingState& request) {
    const size_t at = notes.size();
    notes.append(sizeof(uint32_t), '\0');
    notes += '+';
    for (const std::string* text : {&request.id_key, &request.record, &request.method, &request.tool})
        put(notes, std::string_view(*text));
    put(notes, request.forwarded_ns);
    put(notes, int64_t{request.shares_id});
    put(notes, static_cast<int64_t>(request.charged.size()));
    for (const KeptUse& use : request.charged) put_use(notes, use);
    put_length(notes, at);
}

void append_taken(std::string& notes, std::string_view id_key) {
    const size_t at = notes.size();
    notes.append(sizeof(uint32_t), '\0');
    notes += '-';
    put(notes, id_key);
    put_length(notes, at);
}

Status apply_notes(std::string_view notes, std::vector<PendingState>& pending) {
    std::unordered_map<std::string, size_t> places;  // once one is looked for that was not the last to be added
    // Where one is taken, no other has its id.
    const auto take = [&](const std::string& id) {
        if (places.empty())
            for (size_t i = 0; i < pending.size(); ++i) places.emplace(pending[i].id_key, i);
        const auto found = places.find(id);
        if (found == places.end()) return false;
        const size_t place = found->second;
        places.erase(found);
        if (place + 1 < pending.size()) {
            pending[place] = std::move(pending.back());
            places[pending[place].id_key] = place;
        }
        pending.pop_back();
        return true;
    };
    Reader all{notes};
    while (!all.rest.empty() && !all.failed) {
        Reader note{all.text()};
        const std::string_view kind = note.take(1);
        if (kind == "+") {
            pending.push_back(request_of(note));
            if (!places.empty()) places.emplace(pending.back().id_key, pending.size() - 1);
        } else if (kind == "-") {
            const std::string id(note.text());
            if (places.empty() && !pending.empty() && pending.back().id_key == id) {
                pending.pop_back();
            } else {
                note.failed |= !take(id);
            }
        } else {
            note.failed = true;
        }
        all.failed |= note.failed || !note.rest.empty();
    }
    if (all.failed) return Error::invalid("notes of requests", "are damaged");
    return {};
}

}  // namespace callgate
