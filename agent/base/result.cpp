#include "base/result.h"

#include <cstring>

namespace callgate {

Error Error::system(std::string call, std::string object, int code) {
    return Error{ErrorKind::system, code, object.empty() ? std::move(call) : call + " " + object, {}};
}

Error Error::invalid(std::string where, std::string what) {
    return Error{ErrorKind::invalid_input, 0, std::move(where), std::move(what)};
}

Error Error::refused(std::string where, std::string what) {
    return Error{ErrorKind::refused, 0, std::move(where), std::move(what)};
}

std::string Error::text() const {
    std::string detail = kind == ErrorKind::system ? std::string(strerror(code)) : what;
    if (where.empty()) return detail;
    return where + ": " + detail;
}

}  // namespace callgate
