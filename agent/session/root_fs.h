// RootFs: the file system as a process sees it. Every path is looked up below one root directory, and no
// symlink, absolute or with "..", leads out of it (openat2 RESOLVE_IN_ROOT).
//
// Files are opened O_PATH first and only then for reading, and only where they are regular: a FIFO or a
// device that a user put in the way of the search neither blocks the agent nor is touched.
//
//   RootFs fs = TRY(RootFs::open("/proc/4711/root"));
//   fs.resolve("/app/node_modules/.bin/server") -> "/app/node_modules/server/cli.js"
#pragma once
#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace callgate {

class RootFs {
  public:
    // `root`: "" or a directory, or the link /proc/PID/root.
    static Result<RootFs> open(const std::string& root);
    // From here on so many lookups, and so many bytes of read(path, …), succeed; then nothing is found any more. What is in there
    // was perhaps made to be looked through for long.
    void limit(size_t lookups, size_t bytes) { lookups_left_ = lookups, bytes_left_ = bytes; }
    bool is_spent() const { return is_spent_; }

    struct Found {
        Fd fd;  // O_PATH
        struct stat status;
    };
    std::optional<Found> find(const std::string& path) const;
    // The path without symlinks, as the process would name it; nothing where it does not exist.
    std::optional<std::string> resolve(const std::string& path) const;
    // The names in a directory, at most `names_max`, without "." and "..".
    std::vector<std::string> list(const std::string& path, size_t names_max) const;
    // Content of a regular file, nothing where it is larger than `bytes_max`.
    std::optional<std::string> read(const std::string& path, size_t bytes_max) const;
    static std::optional<std::string> read(const Found& found, size_t bytes_max);
    // A regular file for reading; no descriptor where it is none.
    static Fd open_for_reading(const Found& found);
    // A path that the kernel printed for us (exe, cwd), as the process in this root would name it.
    std::string inside(std::string host_path) const;

  private:
    RootFs(Fd root, std::string prefix) : root_(std::move(root)), prefix_(std::move(prefix)) {}
    Fd root_;
    mutable size_t lookups_left_ = SIZE_MAX, bytes_left_ = SIZE_MAX;
    mutable bool is_spent_ = false;
    std::string prefix_;  // what the kernel prints before every path in this root; "" where root is "/"
};

// Lexical helpers: "/a/./b/../c" -> "/a/c"; relative paths are taken from `base`.
std::string absolute_path(const std::string& path, const std::string& base);
std::string parent_directory(const std::string& path);  // "/a/b" -> "/a", "/" -> "/"
std::string base_name(const std::string& path);         // "/a/b" -> "b"

}  // namespace callgate
