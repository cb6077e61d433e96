#include "enforce/frame_counts.h"

#include "audit/json_members.h"

namespace callgate {

FrameCounts& FrameCounts::operator+=(const FrameCounts& other) {
    in += other.in;
    forwarded += other.forwarded;
    denied += other.denied;
    refused += other.refused;
    held += other.held;
    blank += other.blank;
    server_in += other.server_in;
    server_forwarded += other.server_forwarded;
    server_denied += other.server_denied;
    lists_filtered += other.lists_filtered;
    foreign_bytes += other.foreign_bytes;
    client_bytes += other.client_bytes;
    server_bytes += other.server_bytes;
    return *this;
}

std::string json_text(const FrameCounts& counts, size_t unanswered) {
    std::string out;
    const auto append = [&](std::string_view key, uint64_t number) { append_member(out, key, static_cast<int64_t>(number)); };
    append("{\"in\":", counts.in);
    append(",\"forwarded\":", counts.forwarded);
    append(",\"denied\":", counts.denied);
    append(",\"refused\":", counts.refused);
    append(",\"held\":", counts.held);
    append(",\"server_in\":", counts.server_in);
    append(",\"server_forwarded\":", counts.server_forwarded);
    append(",\"server_denied\":", counts.server_denied);
    append(",\"lists_filtered\":", counts.lists_filtered);
    append(",\"unanswered\":", unanswered);
    out += '}';
    return out;
}

}  // namespace callgate
