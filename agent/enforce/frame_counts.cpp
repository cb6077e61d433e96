#include "enforce/frame_counts.h"

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
    lists_filtered += other.lists_filtered;
    foreign_bytes += other.foreign_bytes;
    client_bytes += other.client_bytes;
    server_bytes += other.server_bytes;
    return *this;
}

}  // namespace callgate
