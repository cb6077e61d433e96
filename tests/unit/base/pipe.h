// Pipe: both ends of one, which do not wait.
#pragma once
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "base/fd.h"

namespace callgate {

struct Pipe {
    Fd reading, writing;
    Pipe() {
        int ends[2];
        EXPECT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
        reading = Fd::adopt(ends[0]);
        writing = Fd::adopt(ends[1]);
    }
    // Nobody has the other end any more, and all has been read.
    bool is_at_end() const {
        char byte;
        return ::read(reading.get(), &byte, 1) == 0;
    }
    void fill() const {
        const std::string page(4096, 'x');
        while (::write(writing.get(), page.data(), page.size()) > 0) {
        }
    }
};

}  // namespace callgate
