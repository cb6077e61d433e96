// The control socket's address, shared by both sides.
#pragma once
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <string>

#include "base/result.h"

namespace callgate {

inline Result<sockaddr_un> control_address(const std::string& path) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof(address.sun_path)) {
        return Error::invalid("control socket " + path, "a socket path has 1 to 107 bytes; choose another");
    }
    memcpy(address.sun_path, path.data(), path.size());
    return address;
}

}  // namespace callgate
