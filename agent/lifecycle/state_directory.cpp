#include "lifecycle/state_directory.h"

#include <filesystem>

#include "base/trusted_path.h"

namespace callgate {

namespace fs = std::filesystem;

Status check_state_directory(const std::string& path) {
    TRY_VOID(check_trusted_path(path));
    std::error_code error;
    fs::directory_iterator entries(path, error);
    for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
        TRY_VOID(check_trusted(entries->path().string()));
    }
    // ENOTDIR is told by who opens the first file in it.
    return {};
}

}  // namespace callgate
