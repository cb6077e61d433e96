// TempTree: a directory that is gone after the test, with one-line ways to fill it.
#pragma once
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace callgate {

class TempTree {
  public:
    TempTree() {
        std::string pattern = std::filesystem::temp_directory_path() / "callgate-test-XXXXXX";
        root_ = mkdtemp(pattern.data());
    }
    ~TempTree() {
        std::error_code ignored;
        std::filesystem::remove_all(root_, ignored);
    }
    TempTree(const TempTree&) = delete;
    TempTree& operator=(const TempTree&) = delete;

    const std::string& root() const { return root_; }
    std::string path(const std::string& name) const { return root_ + name; }
    void file(const std::string& name, const std::string& text = "") const {
        std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
        std::ofstream(path(name), std::ios::binary) << text;
    }
    void directory(const std::string& name) const { std::filesystem::create_directories(path(name)); }
    void link(const std::string& name, const std::string& target) const {
        std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
        ASSERT_EQ(::symlink(target.c_str(), path(name).c_str()), 0);
    }

  private:
    std::string root_;
};

}  // namespace callgate
