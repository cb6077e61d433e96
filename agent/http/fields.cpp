#include "http/fields.h"

#include <cassert>

#include "http/characters.h"

namespace callgate {
namespace {

constexpr std::string_view kNames[] = {
#define CALLGATE_FIELD(enumerator, text) text,
    CALLGATE_KNOWN_FIELDS(CALLGATE_FIELD)
#undef CALLGATE_FIELD
};

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i) {
        if (lower(a[i]) != lower(b[i])) return false;
    }
    return true;
}

KnownField known_field(std::string_view name) {
    for (size_t i = 0; i < std::size(kNames); ++i) {
        if (kNames[i].size() == name.size() && equal_ignoring_case(kNames[i], name)) return static_cast<KnownField>(i);
    }
    return KnownField::other;
}

std::string_view name(KnownField field) {
    return field == KnownField::other ? std::string_view() : kNames[static_cast<size_t>(field)];
}

void Fields::clear() {
    all_.clear();
    counts_.fill(0);
}

void Fields::add(const Field& field) {
    if (field.known != KnownField::other) {
        const auto known = static_cast<size_t>(field.known);
        if (counts_[known]++ == 0) first_[known] = static_cast<uint16_t>(all_.size());
    }
    all_.push_back(field);
    assert(all_.size() <= UINT16_MAX);
}

FieldLookup Fields::find(KnownField field) const {
    assert(field != KnownField::other);
    const auto known = static_cast<size_t>(field);
    if (counts_[known] == 0) return {};
    if (counts_[known] > 1) return {FieldLookup::Count::many, {}};
    return {FieldLookup::Count::one, all_[first_[known]].value};
}

FieldLookup Fields::find(std::string_view name) const {
    FieldLookup found;
    for (const Field& field : all_) {
        if (!equal_ignoring_case(field.name, name)) continue;
        if (found.one()) return {FieldLookup::Count::many, {}};
        found = {FieldLookup::Count::one, field.value};
    }
    return found;
}

}  // namespace callgate
