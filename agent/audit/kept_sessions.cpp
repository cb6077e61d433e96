#include "audit/kept_sessions.h"

#include <bit>
#include <cstring>

namespace callgate {

uint32_t KeptSessions::add(const AuditSession& session) {
    const std::string &name = session.name_members(), &facts = session.fact_members();
    const size_t units = (sizeof(Header) + name.size() + facts.size() + kUnit - 1) / kUnit;
    const auto size = static_cast<unsigned>(std::bit_width(units - 1));
    std::lock_guard lock(mutex_);
    if (!is_open_ || size >= kSizes) return 0;
    uint32_t place = 0;
    if (!free_[size].empty()) {
        place = free_[size].back();
        free_[size].pop_back();
    } else if ((used_units_ + (size_t{1} << size)) * kUnit <= memory_.size()) {
        place = static_cast<uint32_t>(used_units_);
        used_units_ += size_t{1} << size;
    } else {
        return 0;
    }
    std::byte* at = memory_.data() + place * kUnit;
    const Header header{static_cast<uint32_t>(name.size()), static_cast<uint32_t>(facts.size())};
    memcpy(at, &header, sizeof(header));
    memcpy(at + sizeof(header), name.data(), name.size());
    memcpy(at + sizeof(header) + name.size(), facts.data(), facts.size());
    return place;
}

void KeptSessions::remove(uint32_t place) {
    if (place == 0) return;
    std::lock_guard lock(mutex_);
    Header header;
    memcpy(&header, memory_.data() + place * kUnit, sizeof(header));
    const size_t units = (sizeof(header) + header.name_bytes + header.fact_bytes + kUnit - 1) / kUnit;
    free_[static_cast<unsigned>(std::bit_width(units - 1))].push_back(place);
}

std::unique_ptr<const AuditSession> KeptSessions::find(uint32_t place) const {
    const size_t at = place * kUnit;
    Header header;
    if (place == 0 || at + sizeof(header) > memory_.size()) return nullptr;
    memcpy(&header, memory_.data() + at, sizeof(header));
    if (uint64_t{header.name_bytes} + header.fact_bytes > memory_.size() - at - sizeof(header)) return nullptr;
    const char* text = reinterpret_cast<const char*>(memory_.data() + at + sizeof(header));
    return std::make_unique<const AuditSession>(std::string_view(text, header.name_bytes),
                                                std::string_view(text + header.name_bytes, header.fact_bytes));
}

}  // namespace callgate
