// What goes on beside the serving: threads and processes that begin and end.
#pragma once
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <thread>

// Prints "link CHAIN 0", "link CHAIN 1" and so on, each from a thread of its own that the one before has begun and that nobody
// waits for.
inline void print_links(void (*say)(std::string), int chain, uint64_t number = 0) {
    say("link " + std::to_string(chain) + " " + std::to_string(number));
    std::thread(print_links, say, chain, number + 1).detach();
}

// Forks on and on; each child prints "child 0" and so on after a while, and ends.
inline void fork_children(int out_fd) {
    ::signal(SIGCHLD, SIG_IGN);
    std::thread([out_fd] {
        for (uint64_t number = 0;; ++number) {
            const std::string line = "child " + std::to_string(number) + "\n";
            if (::fork() == 0) {
                ::usleep(150'000);
                ::_exit(::write(out_fd, line.data(), line.size()) == static_cast<ssize_t>(line.size()) ? 0 : 3);
            }
            ::usleep(1'000);
        }
    }).detach();
}

// A thread that nothing stops until somebody opens `fifo` to write.
inline void wait_in_spawn(const std::string& fifo) {
    std::thread([fifo] {
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_addopen(&actions, 5, fifo.c_str(), O_RDONLY, 0);
        char name[] = "true";
        char* const words[] = {name, nullptr};
        pid_t child = 0;
        if (!::posix_spawn(&child, "/bin/true", &actions, nullptr, words, environ)) ::waitpid(child, nullptr, 0);
        ::posix_spawn_file_actions_destroy(&actions);
    }).detach();
}
