// Very many sessions at a slow pace: what an agent that governs a whole host has.
//
//   many_sessions --sessions N --pause-ms MS --seconds S      starts N servers, calls each every MS; of each answer: is it the
//   one? many_sessions serve                                       such a server: answers each line, takes next to no memory
//
// Says "ready" on stdout when every server has answered once, waits for a line on stdin, calls for S seconds, and says
//   {"calls":…,"answers":…,"wrong":…,"us":{"p50":…,"p99":…,"max":…},"late_ms":…}
// late_ms: how far it was behind its own plan, at most. Then it waits for another line, and for the ends of the servers.
// Exit code 0 if every call had its answer. Linked statically: a process of it costs some 100 KiB.
#include <fcntl.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

namespace {

constexpr size_t kLineBytes = 256;
constexpr std::string_view kCall =
    "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\",\"arguments\":{\"text\":\"x\"}}}\n";
constexpr std::string_view kAnswer = "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":{\"content\":[]}}\n";

int64_t now_ns() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// Of a call or an answer; 0: neither.
unsigned long long id_of(const char* line) {
    const char* at = strstr(line, "\"id\":");
    return at ? strtoull(at + 5, nullptr, 10) : 0;
}

int serve() {
    char line[kLineBytes], answer[kLineBytes];
    for (;;) {
        const ssize_t got = read(STDIN_FILENO, line, sizeof(line) - 1);
        if (got <= 0) return 0;
        line[got] = '\0';
        const int bytes = snprintf(answer, sizeof(answer), kAnswer.data(), id_of(line));
        if (write(STDOUT_FILENO, answer, static_cast<size_t>(bytes)) != bytes) return 1;
    }
}

struct Session {
    int in = -1, out = -1;
    pid_t pid = 0;
    unsigned long long asked = 0;
    int64_t sent_ns = 0;
    bool waits = false;
};

struct Load {
    std::vector<Session> sessions;
    std::vector<int64_t> waits_ns;
    uint64_t calls = 0, answers = 0, wrong = 0;
    int epoll = -1;

    bool start(size_t number, char* self) {
        Session& session = sessions[number];
        int down[2], up[2];
        if (pipe2(down, O_CLOEXEC) != 0 || pipe2(up, O_CLOEXEC) != 0) return false;
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, down[0], STDIN_FILENO);
        posix_spawn_file_actions_adddup2(&actions, up[1], STDOUT_FILENO);
        char mode[] = "serve";
        char* words[] = {self, mode, nullptr};
        const int failed = posix_spawn(&session.pid, self, &actions, nullptr, words, environ);
        posix_spawn_file_actions_destroy(&actions);
        close(down[0]);
        close(up[1]);
        session.in = down[1];
        session.out = up[0];
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = number;
        return failed == 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, session.out, &event) == 0;
    }

    void call(Session& session) {
        char line[kLineBytes];
        const int bytes = snprintf(line, sizeof(line), kCall.data(), ++session.asked);
        session.sent_ns = now_ns();
        session.waits = true;
        ++calls;
        if (write(session.in, line, static_cast<size_t>(bytes)) != bytes) ++wrong;
    }

    // Takes answers in for so long at most.
    void listen(int timeout_ms) {
        epoll_event events[256];
        const int found = epoll_wait(epoll, events, 256, timeout_ms);
        for (int i = 0; i < found; ++i) {
            Session& session = sessions[events[i].data.u64];
            char line[kLineBytes];
            const ssize_t got = read(session.out, line, sizeof(line) - 1);
            if (got <= 0) {
                ++wrong;
                epoll_ctl(epoll, EPOLL_CTL_DEL, session.out, nullptr);
                continue;
            }
            line[got] = '\0';
            const bool is_it = session.waits && line[got - 1] == '\n' && id_of(line) == session.asked && !strstr(line, "error");
            ++(is_it ? answers : wrong);
            session.waits = false;
            waits_ns.push_back(now_ns() - session.sent_ns);
        }
    }

    bool all_answered(int64_t until_ns) {
        while (answers + wrong < calls && now_ns() < until_ns) listen(100);
        return answers == calls;
    }
};

void wait_for_line() {
    for (char byte = 0; byte != '\n';)
        if (read(STDIN_FILENO, &byte, 1) != 1) return;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 2 && std::string_view(argv[1]) == "serve") return serve();
    size_t number = 0;
    int64_t pause_ns = 1'000'000'000, seconds = 10;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string_view word = argv[i];
        const long value = atol(argv[i + 1]);
        if (word == "--sessions") number = static_cast<size_t>(value);
        if (word == "--pause-ms") pause_ns = int64_t{value} * 1'000'000;
        if (word == "--seconds") seconds = value;
    }
    Load load;
    load.sessions.resize(number);
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < number; ++i) {
        if (!load.start(i, argv[0])) {
            fprintf(stderr, "session %zu: %s\n", i, strerror(errno));
            return 1;
        }
        load.call(load.sessions[i]);
        if (i % 16 == 15) load.listen(0);
    }
    if (!load.all_answered(now_ns() + 600'000'000'000)) return 1;
    puts("ready");
    fflush(stdout);
    wait_for_line();
    load.waits_ns.clear();
    load.waits_ns.reserve(number * static_cast<size_t>(seconds * 1'000'000'000 / pause_ns + 1));
    const uint64_t before = load.calls;
    const int64_t begin = now_ns();
    int64_t late_ns = 0;
    for (uint64_t turn = 0;; ++turn) {
        const int64_t due = begin + static_cast<int64_t>(turn) * pause_ns / static_cast<int64_t>(number);
        if (due > begin + seconds * 1'000'000'000) break;
        for (int64_t now = now_ns(); now < due; now = now_ns()) load.listen(static_cast<int>((due - now) / 1'000'000));
        late_ns = std::max(late_ns, now_ns() - due);
        Session& session = load.sessions[turn % number];
        while (session.waits && now_ns() < due + 60'000'000'000) load.listen(1000);
        load.call(session);
        load.listen(0);
    }
    const bool all = load.all_answered(now_ns() + 60'000'000'000);
    std::sort(load.waits_ns.begin(), load.waits_ns.end());
    const auto at = [&](size_t part) {
        return load.waits_ns.empty() ? 0 : static_cast<long long>(load.waits_ns[(load.waits_ns.size() - 1) * part / 100] / 1000);
    };
    printf("{\"calls\":%llu,\"answers\":%zu,\"wrong\":%llu,\"us\":{\"p50\":%lld,\"p99\":%lld,\"max\":%lld},\"late_ms\":%lld}\n",
           static_cast<unsigned long long>(load.calls - before), load.waits_ns.size(),
           static_cast<unsigned long long>(load.wrong), at(50), at(99), at(100), static_cast<long long>(late_ns / 1'000'000));
    fflush(stdout);
    wait_for_line();
    for (Session& session : load.sessions) close(session.in);
    bool ended_well = true;
    for (const Session& session : load.sessions) {
        int status = 0;
        ended_well &= waitpid(session.pid, &status, 0) == session.pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    return all && load.wrong == 0 && ended_well ? 0 : 1;
}
