// The processes between which the stdio benchmark measures, in one small program:
//
//   stdio_peers echo           an MCP-like server: answers every request line with its own id
//   stdio_peers sink           reads and discards; answers a request whose line holds "ping"
//   stdio_peers relay CMD…     the smallest possible relay: starts CMD and copies bytes both ways, parsing nothing
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

bool write_all(int fd, const char* bytes, size_t length) {
    while (length) {
        ssize_t put = write(fd, bytes, length);
        if (put <= 0) return false;
        bytes += put;
        length -= put;
    }
    return true;
}

// The value of the first "id": in the line, as its bytes.
std::string_view id_of(std::string_view line) {
    size_t at = line.find("\"id\":");
    if (at == std::string_view::npos) return {};
    at += 5;
    return line.substr(at, line.find_first_of(",}", at) - at);
}

int serve(bool answer_all) {
    std::string input, output;
    std::vector<char> chunk(1 << 20);
    for (;;) {
        ssize_t got = read(0, chunk.data(), chunk.size());
        if (got <= 0) return 0;
        std::string_view fresh(chunk.data(), got);
        output.clear();
        for (size_t end; (end = fresh.find('\n')) != std::string_view::npos; fresh.remove_prefix(end + 1)) {
            std::string_view line = fresh.substr(0, end);
            std::string whole;
            if (!input.empty()) {
                whole = input.append(line);
                input.clear();
                line = whole;
            }
            std::string_view id = id_of(line.substr(0, 200));
            if (id.empty() || (!answer_all && line.find("ping") == std::string_view::npos)) continue;
            output.append("{\"jsonrpc\":\"2.0\",\"id\":").append(id).append(",\"result\":{\"content\":[]}}\n");
        }
        input.append(fresh);
        if (!output.empty() && !write_all(1, output.data(), output.size())) return 0;
    }
}

void copy(int from, int to) {
    std::vector<char> chunk(1 << 16);
    for (ssize_t got; (got = read(from, chunk.data(), chunk.size())) > 0;)
        if (!write_all(to, chunk.data(), got)) break;
    close(to);
}

int relay(char** command) {
    signal(SIGPIPE, SIG_IGN);
    int down[2], up[2];
    if (pipe2(down, O_CLOEXEC) || pipe2(up, O_CLOEXEC)) return 1;
    pid_t child = fork();
    if (child == 0) {
        dup2(down[0], 0);
        dup2(up[1], 1);
        execv(command[0], command);
        _exit(127);
    }
    close(down[0]);
    close(up[1]);
    std::thread back(copy, up[0], 1);
    copy(0, down[1]);
    back.join();
    waitpid(child, nullptr, 0);
    return 0;
}

}  // namespace

int main(int count, char** arguments) {
    std::string_view mode = count > 1 ? arguments[1] : "";
    if (mode == "echo") return serve(true);
    if (mode == "sink") return serve(false);
    if (mode == "relay" && count > 2) return relay(arguments + 2);
    fprintf(stderr, "usage: stdio_peers echo | sink | relay COMMAND…\n");
    return 2;
}
