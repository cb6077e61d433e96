// exec_flood N: runs itself N times, one after the other in the same process. With pipes as input and output each is an event of
// the kernel's to the agent. Linked statically, so that it costs little.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
    const long left = argc > 1 ? atol(argv[1]) : 0;
    if (left <= 0) return 0;
    char next[24];
    snprintf(next, sizeof(next), "%ld", left - 1);
    char* words[] = {argv[0], next, nullptr};
    execv("/proc/self/exe", words);
    perror("exec_flood");
    return 1;
}
