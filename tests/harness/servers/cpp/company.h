// What goes on beside the serving.
#pragma once
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <thread>

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
