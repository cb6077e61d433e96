// Many clients of stdio servers at once: sequenced calls of every size, each answer compared byte for byte.
//
//   stdio_load --sessions N [--channels KIND,…] [--socket PATH] [--depth D] [--pause-ms MS] [--large-each K] -- SERVER
//   [ARGUMENT…]
//
// Each session in turn has the next KIND of channel: "pipe", "socketpair" (the two are the default), or one connection
// for both ways, accepted and given to the server as inetd does, "unix" (at PATH) or "tcp". Each has up to D calls under way and
// makes the next one MS after the last. Every fourth call is of delete_note, which must be denied; the others are of echo, 20
// bytes to 2 KB long, each K-th up to 1 MiB. Answers of echo must come in the order of the calls, and so must
// denials; what is lost, doubled, reordered or corrupted, and an end, are failures.
//
// Commands on stdin, an answer for each on stdout:
//   begin   ->  begun      from here on the longest wait of each session is measured
//   settle  ->  settled    when each session has had three more answers; its longest wait since "begin" is one sample
//   round   ->  rounded    each session's longest wait since the last "begin" or "round", calls under way included, is one sample
//   waits   ->  [12.3,…]   each session's longest wait since "begin", in ms
//   stop    ->  {"calls":…,"denied":…,"bytes":…,"lost":…,"doubled":…,"reordered":…,"corrupted":…,"waits":…,
//               "wait_ms":{"p50":…,"p99":…,"max":…}}, after the last answers (what has not come after a minute in which
//               nothing came is lost) and the ends of the servers; exit code 0 if there was no failure, else 1 and the
//               failures on stderr
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <sstream>
#include <string>
#include <vector>

namespace {

constexpr size_t kReadBytes = 1 << 18;
constexpr int64_t kPatience = 60'000'000'000;  // with what has not come by the end

struct Options {
    int sessions = 64, depth = 4, pause_ms = 20, large_each = 50;
    std::vector<std::string> channels{"pipe", "socketpair"};
    const char* socket = "";
    char** server = nullptr;
};

struct Call {
    uint64_t number;
    int64_t sent_ns;
};

struct Session {
    int number = 0, in = -1, out = -1;
    pid_t pid = 0;
    std::string to_send, received;
    size_t sent = 0, searched = 0;
    std::deque<Call> echoes, denials;
    uint64_t next = 1;
    int64_t next_call_ns = 0, longest_ns = 0;
    int answers_left = 0;  // until it has settled
    bool ended = false;
    bool has_pipes = false;
    bool idle() const { return echoes.empty() && denials.empty() && sent == to_send.size(); }
};

Options options;
std::vector<Session> sessions;
std::vector<double> waits_ms;
uint64_t calls = 0, denied = 0, bytes = 0;
int64_t last_answer_ns = 0;
uint64_t lost = 0, doubled = 0, reordered = 0, corrupted = 0;
int failures = 0;

int64_t now_ns() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void fail(const Session& session, const std::string& what) {
    if (++failures <= 20) fprintf(stderr, "stdio_load: session %d: %s\n", session.number, what.c_str());
}

uint64_t mixed(uint64_t value) {
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ value >> 27) * 0x94d049bb133111ebull;
    return value ^ value >> 31;
}

// What call `number` says: the same for whoever asks, and different for each session and call.
std::string text_of(const Session& session, uint64_t number) {
    uint64_t seed = mixed(static_cast<uint64_t>(session.number) << 40 | number);
    const bool is_large = options.large_each > 0 && number % static_cast<uint64_t>(options.large_each) == 7;
    const size_t length = 20 + seed % (is_large ? (1 << 20) - 200 : 2000);
    std::string text = std::to_string(session.number) + "-" + std::to_string(number) + "-";
    while (text.size() < length) {
        seed = mixed(seed + 1);
        for (int i = 0; i < 10 && text.size() < length; ++i) text += "abcdefghijklmnopqrstuvwxyz012345"[seed >> (6 * i) & 31];
    }
    return text;
}

void make_call(Session& session, int64_t now) {
    const uint64_t number = session.next++;
    const bool is_denied = number % 4 == 0;
    session.to_send.erase(0, session.sent);
    session.sent = 0;
    session.to_send += R"({"jsonrpc":"2.0","id":)" + std::to_string(number) + R"(,"method":"tools/call","params":{"name":")";
    session.to_send += is_denied ? "delete_note" : "echo";
    session.to_send += R"(","arguments":{"text":")" + text_of(session, number) + "\"}}}\n";
    (is_denied ? session.denials : session.echoes).push_back({number, now});
    // In its own turn, however long the last call has waited: sessions that had all waited together would all call together
    // from then on, and no call of theirs would be under way in the next gap.
    const int64_t pause_ns = int64_t{options.pause_ms} * 1'000'000;
    if (pause_ns > 0) session.next_call_ns += pause_ns * (1 + (now - session.next_call_ns) / pause_ns);
}

void answered(Session& session, std::deque<Call>& waiting, int64_t now) {
    session.longest_ns = std::max(session.longest_ns, now - waiting.front().sent_ns);
    waiting.pop_front();
    if (session.answers_left > 0) --session.answers_left;
    last_answer_ns = now;
    ++calls;
}

// Of a line that is not the next one of its kind.
uint64_t& kind_of(std::string_view line, const std::deque<Call>& waiting) {
    constexpr std::string_view kBegin = R"({"jsonrpc":"2.0","id":)";
    const uint64_t number =
        line.starts_with(kBegin) ? strtoull(std::string(line.substr(kBegin.size(), 20)).c_str(), nullptr, 10) : 0;
    if (number == 0) return corrupted;
    if (waiting.empty() || number < waiting.front().number) return doubled;
    return number == waiting.front().number ? corrupted : reordered;
}

void take_line(Session& session, std::string_view line, int64_t now) {
    bytes += line.size();
    if (line.find("[POLICY DENIED]") != std::string_view::npos) {
        const std::string begin =
            session.denials.empty() ? "" : R"({"jsonrpc":"2.0","id":)" + std::to_string(session.denials.front().number) + ",";
        if (session.denials.empty() || !line.starts_with(begin)) {
            ++kind_of(line, session.denials);
            return fail(session, "a denial that is not due: " + std::string(line.substr(0, 100)));
        }
        ++denied;
        return answered(session, session.denials, now);
    }
    if (session.echoes.empty()) {
        ++kind_of(line, session.echoes);
        return fail(session, "an answer that nobody waits for: " + std::string(line.substr(0, 100)));
    }
    const uint64_t number = session.echoes.front().number;
    const std::string expected = R"({"jsonrpc":"2.0","id":)" + std::to_string(number) +
                                 R"(,"result":{"content":[{"type":"text","text":")" + text_of(session, number) + "\"}]}}";
    if (line != expected) {
        uint64_t& kind = kind_of(line, session.echoes);
        ++kind;
        fail(session, "call " + std::to_string(number) + " was answered with " + std::string(line.substr(0, 100)));
        if (&kind == &doubled) return;
    }
    answered(session, session.echoes, now);
}

void read_from(Session& session) {
    static std::vector<char> buffer(kReadBytes);
    const ssize_t got = read(session.out, buffer.data(), buffer.size());
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        session.ended = true;
        if (session.in >= 0) fail(session, "its server's output has ended");
        return;
    }
    session.received.append(buffer.data(), static_cast<size_t>(got));
    const int64_t now = now_ns();
    size_t begin = 0;
    for (size_t end; (end = session.received.find('\n', session.searched)) != std::string::npos;
         begin = session.searched = end + 1)
        take_line(session, std::string_view(session.received).substr(begin, end - begin), now);
    session.received.erase(0, begin);
    session.searched = session.received.size();
}

void write_to(Session& session) {
    const ssize_t put = write(session.in, session.to_send.data() + session.sent, session.to_send.size() - session.sent);
    if (put > 0) {
        session.sent += static_cast<size_t>(put);
    } else if (errno != EAGAIN) {
        fail(session, std::string("cannot write: ") + strerror(errno));
        session.ended = true;
    }
}

void make_channel(bool is_socket, int& ours, int& theirs, bool they_read) {
    int ends[2];
    if (is_socket ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) : pipe2(ends, O_CLOEXEC)) {
        perror("stdio_load: channel");
        exit(2);
    }
    ours = ends[they_read ? 1 : 0];
    theirs = ends[they_read ? 0 : 1];
    fcntl(ours, F_SETFL, O_NONBLOCK | fcntl(ours, F_GETFL));
}

[[noreturn]] void give_up(const char* what) {
    perror(what);
    exit(2);
}

int listener_of(bool is_tcp) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr_un path{};
    path.sun_family = AF_UNIX;
    snprintf(path.sun_path, sizeof(path.sun_path), "%s", options.socket);
    const int made = socket(is_tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto* address = is_tcp ? reinterpret_cast<sockaddr*>(&at) : reinterpret_cast<sockaddr*>(&path);
    if (bind(made, address, is_tcp ? sizeof(at) : sizeof(path)) || listen(made, 64)) give_up("stdio_load: listener");
    return made;
}

void make_connection(bool is_tcp, int& ours, int& theirs) {
    static int listeners[] = {-1, -1};
    int& listener = listeners[is_tcp ? 1 : 0];
    if (listener < 0) listener = listener_of(is_tcp);
    sockaddr_storage address{};
    socklen_t length = sizeof(address);
    ours = socket(is_tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) ||
        connect(ours, reinterpret_cast<sockaddr*>(&address), length))
        give_up("stdio_load: connect");
    theirs = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (theirs < 0) give_up("stdio_load: accept");
    fcntl(ours, F_SETFL, O_NONBLOCK | fcntl(ours, F_GETFL));
}

void start(Session& session, int number) {
    session.number = number;
    session.next_call_ns = now_ns() + int64_t{options.pause_ms} * 1'000'000 * number / options.sessions;
    const std::string& channel = options.channels[static_cast<size_t>(number) % options.channels.size()];
    session.has_pipes = channel == "pipe";
    int their_in, their_out;
    if (channel == "unix" || channel == "tcp") {
        make_connection(channel == "tcp", session.in, their_in);
        session.out = session.in;
        their_out = dup(their_in);
    } else {
        make_channel(!session.has_pipes, session.in, their_in, true);
        make_channel(!session.has_pipes, session.out, their_out, false);
    }
    session.pid = fork();
    if (session.pid == 0) {
        dup2(their_in, 0);
        dup2(their_out, 1);
        execvp(options.server[0], options.server);
        perror("stdio_load: exec");
        _exit(127);
    }
    close(their_in);
    close(their_out);
}

void turn(bool calling, bool with_commands) {
    static std::vector<pollfd> waiting;
    waiting.assign(1, {with_commands ? 0 : -1, POLLIN, 0});
    const int64_t now = now_ns();
    int64_t next = now + 50'000'000;
    for (Session& session : sessions) {
        const bool has_room = session.echoes.size() + session.denials.size() < static_cast<size_t>(options.depth);
        if (calling && !session.ended && has_room && now >= session.next_call_ns) make_call(session, now);
        if (calling && has_room) next = std::min(next, session.next_call_ns);
        const bool writes = session.sent < session.to_send.size();
        waiting.push_back({session.ended ? -1 : session.out, POLLIN, 0});
        waiting.push_back({session.ended || !writes ? -1 : session.in, POLLOUT, 0});
    }
    poll(waiting.data(), waiting.size(), static_cast<int>(std::max<int64_t>(next - now, 0) / 1'000'000 + 1));
    for (size_t i = 0; i < sessions.size(); ++i) {
        if (waiting[2 * i + 1].revents) read_from(sessions[i]);
        if (waiting[2 * i + 2].revents && !sessions[i].ended) write_to(sessions[i]);
    }
}

bool command_waits() {
    pollfd input{0, POLLIN, 0};
    return poll(&input, 1, 0) == 1;
}

void settle() {
    for (Session& session : sessions) session.answers_left = 3;
    const auto is_settled = [](const Session& session) { return session.answers_left == 0 || session.ended; };
    while (!std::all_of(sessions.begin(), sessions.end(), is_settled)) turn(true, false);
    for (const Session& session : sessions) waits_ms.push_back(static_cast<double>(session.longest_ns) / 1e6);
}

void end_round() {
    const int64_t now = now_ns();
    for (Session& session : sessions) {
        for (const auto* waiting : {&session.echoes, &session.denials})
            if (!waiting->empty()) session.longest_ns = std::max(session.longest_ns, now - waiting->front().sent_ns);
        waits_ms.push_back(static_cast<double>(session.longest_ns) / 1e6);
        session.longest_ns = 0;
    }
}

void tell_waits() {
    const char* before = "[";
    for (const Session& session : sessions) {
        printf("%s%.1f", before, static_cast<double>(session.longest_ns) / 1e6);
        before = ",";
    }
    puts("]");
}

void stop() {
    const auto is_idle = [](const Session& session) { return session.idle() || session.ended; };
    last_answer_ns = now_ns();
    while (!std::all_of(sessions.begin(), sessions.end(), is_idle) && now_ns() - last_answer_ns < kPatience) turn(false, false);
    for (Session& session : sessions) {
        if (const size_t waiting = session.echoes.size() + session.denials.size()) {
            lost += waiting;
            fail(session, std::to_string(waiting) + " calls have no answer");
        }
        if (session.has_pipes) {
            close(session.in);
        } else {
            shutdown(session.in, SHUT_WR);
        }
        session.in = -1;
    }
    const auto is_over = [](const Session& session) { return session.ended; };
    const int64_t closed_ns = now_ns();
    while (!std::all_of(sessions.begin(), sessions.end(), is_over) && now_ns() - closed_ns < kPatience) turn(false, false);
    for (Session& session : sessions) {
        if (!session.ended) {
            fail(session, "its server does not end");
            kill(session.pid, SIGKILL);
        }
        int status = 0;
        waitpid(session.pid, &status, 0);
        if (status != 0) fail(session, "its server ended with status " + std::to_string(status));
        if (!session.received.empty()) fail(session, "half a line at the end");
    }
    std::sort(waits_ms.begin(), waits_ms.end());
    const auto at = [](double part) {
        return waits_ms.empty()
                   ? 0.0
                   : waits_ms[std::min(waits_ms.size() - 1, static_cast<size_t>(part * static_cast<double>(waits_ms.size())))];
    };
    printf(
        "{\"calls\":%llu,\"denied\":%llu,\"bytes\":%llu,\"lost\":%llu,\"doubled\":%llu,\"reordered\":%llu,\"corrupted\":%llu,"
        "\"failures\":%d,\"waits\":%zu,\"wait_ms\":{\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f}}\n",
        static_cast<unsigned long long>(calls), static_cast<unsigned long long>(denied), static_cast<unsigned long long>(bytes),
        static_cast<unsigned long long>(lost), static_cast<unsigned long long>(doubled),
        static_cast<unsigned long long>(reordered), static_cast<unsigned long long>(corrupted), failures, waits_ms.size(),
        at(0.5), at(0.99), at(1));
    fflush(stdout);
}

bool read_options(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        if (word == "--" && i + 1 < argc) {
            options.server = argv + i + 1;
            return true;
        }
        if (i + 1 >= argc) return false;
        if (word == "--channels") {
            options.channels.clear();
            std::stringstream list(argv[++i]);
            for (std::string kind; std::getline(list, kind, ',');) options.channels.push_back(kind);
            continue;
        }
        if (word == "--socket") {
            options.socket = argv[++i];
            continue;
        }
        const int value = atoi(argv[++i]);
        if (word == "--sessions")
            options.sessions = value;
        else if (word == "--depth")
            options.depth = value;
        else if (word == "--pause-ms")
            options.pause_ms = value;
        else if (word == "--large-each")
            options.large_each = value;
        else
            return false;
    }
    return false;
}

}  // namespace

int main(int argc, char** argv) {
    if (!read_options(argc, argv)) {
        fprintf(stderr, "stdio_load: see the head of stdio_load.cpp\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    rlimit descriptors;
    if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
        descriptors.rlim_cur = descriptors.rlim_max;
        setrlimit(RLIMIT_NOFILE, &descriptors);
    }
    sessions.resize(static_cast<size_t>(options.sessions));
    for (int i = 0; i < options.sessions; ++i) start(sessions[static_cast<size_t>(i)], i);
    std::string input;
    for (;;) {
        turn(true, true);
        if (!command_waits()) continue;
        char piece[256];
        const ssize_t got = read(0, piece, sizeof(piece));
        if (got <= 0) input = "stop\n";
        if (got > 0) input.append(piece, static_cast<size_t>(got));
        for (size_t end; (end = input.find('\n')) != std::string::npos; input.erase(0, end + 1)) {
            const std::string command = input.substr(0, end);
            if (command == "begin") {
                for (Session& session : sessions) session.longest_ns = 0;
                puts("begun");
            } else if (command == "settle") {
                settle();
                puts("settled");
            } else if (command == "round") {
                end_round();
                puts("rounded");
            } else if (command == "waits") {
                tell_waits();
            } else {
                stop();
                return failures ? 1 : 0;
            }
            fflush(stdout);
        }
    }
}
