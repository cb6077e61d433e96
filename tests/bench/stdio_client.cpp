// The measuring client of the stdio benchmark: starts contenders, drives them in turns, prints one JSON object.
//
//   stdio_client latency ROUNDS CALLS -- CMD… -- CMD… …     microseconds per round trip: p50 and p99 of each contender
//   stdio_client frames SECONDS -- CMD…                     small pipelined notifications per second, then a ping
//   stdio_client reads COUNT                                nanoseconds per read() of one byte of /dev/zero
//   stdio_client large COUNT BYTES -- CMD… -- CMD… …        megabytes per second of frames of that size
//
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace {

int64_t now_ns() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1'000'000'000ll + now.tv_nsec;
}

struct Contender {
    pid_t pid = -1;
    int to = -1, from = -1;
    std::vector<double> samples;
};

Contender start(char** command) {
    int down[2], up[2];
    if (pipe2(down, O_CLOEXEC) || pipe2(up, O_CLOEXEC)) exit(1);
    Contender contender;
    contender.pid = fork();
    if (contender.pid == 0) {
        dup2(down[0], 0);
        dup2(up[1], 1);
        execv(command[0], command);
        _exit(127);
    }
    close(down[0]);
    close(up[1]);
    contender.to = down[1];
    contender.from = up[0];
    return contender;
}

void write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        ssize_t put = write(fd, bytes.data(), bytes.size());
        if (put <= 0) {
            perror("write");
            exit(1);
        }
        bytes.remove_prefix(put);
    }
}

void read_line(int fd) {
    char buffer[65536];
    for (;;) {
        ssize_t got = read(fd, buffer, sizeof(buffer));
        if (got <= 0) {
            fprintf(stderr, "the server has gone\n");
            exit(1);
        }
        if (memchr(buffer, '\n', got)) return;
    }
}

std::string call(long id, size_t bytes) {
    std::string text = "{\"jsonrpc\":\"2.0\",\"id\":" + std::to_string(id) +
                       ",\"method\":\"tools/call\",\"params\":{\"name\":\"echo\",\"arguments\":{\"message\":\"";
    size_t tail = strlen("\"}}}\n");
    text.append(bytes > text.size() + tail ? bytes - text.size() - tail : 0, 'x');
    return text + "\"}}}\n";
}

void finish(Contender& contender) {
    close(contender.to);
    close(contender.from);
    waitpid(contender.pid, nullptr, 0);
}

double percentile(std::vector<double>& values, double part) {
    std::sort(values.begin(), values.end());
    return values[std::min(values.size() - 1, static_cast<size_t>(values.size() * part))];
}

void latency(std::vector<Contender>& contenders, int rounds, int calls) {
    long id = 1;
    for (Contender& each : contenders)  // warm-up, and the take-over
        for (int i = 0; i < 50; ++i) {
            write_all(each.to, call(id++, 220));
            read_line(each.from);
        }
    for (int round = 0; round < rounds; ++round)
        for (Contender& each : contenders)
            for (int i = 0; i < calls; ++i) {
                std::string frame = call(id++, 220);
                int64_t before = now_ns();
                write_all(each.to, frame);
                read_line(each.from);
                each.samples.push_back((now_ns() - before) / 1000.0);
            }
    printf("[");
    for (size_t i = 0; i < contenders.size(); ++i)
        printf("%s{\"p50_us\": %.2f, \"p99_us\": %.2f}", i ? ", " : "", percentile(contenders[i].samples, 0.5),
               percentile(contenders[i].samples, 0.99));
    printf("]\n");
}

void large(std::vector<Contender>& contenders, int count, size_t bytes) {
    long id = 1;
    for (int round = 0; round < 5; ++round)
        for (size_t i = 0; i < contenders.size(); ++i) {
            std::string frame = call(id, bytes);
            int64_t before = now_ns();
            for (int n = 0; n < count; ++n) write_all(contenders[i].to, frame);
            for (int answered = 0; answered < count;) {
                char buffer[65536];
                ssize_t got = read(contenders[i].from, buffer, sizeof(buffer));
                if (got <= 0) exit(1);
                answered += std::count(buffer, buffer + got, '\n');
            }
            contenders[i].samples.push_back(double(count) * bytes / 1e6 / ((now_ns() - before) / 1e9));
        }
    printf("[");
    for (size_t i = 0; i < contenders.size(); ++i)
        printf("%s{\"megabytes_per_second\": %.0f}", i ? ", " : "", percentile(contenders[i].samples, 0.5));
    printf("]\n");
}

void frames(Contender& contender, double seconds) {
    std::string batch;
    int per_batch = 0;
    while (batch.size() < 60000) {
        batch += "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":1,\"progress\":" +
                 std::to_string(per_batch) + "}}\n";
        ++per_batch;
    }
    long sent = 0;
    int64_t before = now_ns();
    while (now_ns() - before < seconds * 1e9) {
        write_all(contender.to, batch);
        sent += per_batch;
    }
    write_all(contender.to, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n");
    read_line(contender.from);
    double took = (now_ns() - before) / 1e9;
    printf("{\"frames\": %ld, \"bytes_per_frame\": %zu, \"seconds\": %.3f, \"frames_per_second\": %.0f}\n", sent,
           batch.size() / per_batch, took, sent / took);
}

void reads(long count) {
    int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    std::vector<double> rounds;
    for (int round = 0; round < 10; ++round) {
        char byte;
        int64_t before = now_ns();
        for (long i = 0; i < count / 10; ++i)
            if (read(zero, &byte, 1) != 1) exit(1);
        rounds.push_back(double(now_ns() - before) / (count / 10));
    }
    printf("{\"nanoseconds_per_read\": %.1f}\n", percentile(rounds, 0.5));
    close(zero);
}

}  // namespace

int main(int count, char** arguments) {
    std::string_view mode = count > 1 ? arguments[1] : "";
    std::vector<Contender> contenders;
    std::vector<long> numbers;
    for (int i = 2; i < count; ++i) {
        if (strcmp(arguments[i], "--")) {
            if (contenders.empty()) numbers.push_back(atol(arguments[i]));
            continue;
        }
        int end = i + 1;
        while (end < count && strcmp(arguments[end], "--")) ++end;
        char* after = end < count ? arguments[end] : nullptr;
        arguments[end] = nullptr;
        contenders.push_back(start(arguments + i + 1));
        if (after) arguments[end] = after;
        i = end - 1;
    }
    if (mode == "latency" && numbers.size() == 2) {
        latency(contenders, numbers[0], numbers[1]);
    } else if (mode == "large" && numbers.size() == 2) {
        large(contenders, numbers[0], numbers[1]);
    } else if (mode == "reads" && numbers.size() == 1) {
        reads(numbers[0]);
    } else if (mode == "frames" && numbers.size() == 1 && contenders.size() == 1) {
        frames(contenders[0], numbers[0]);
    } else {
        fprintf(stderr,
                "usage: stdio_client latency ROUNDS CALLS|frames SECONDS|reads COUNT|large COUNT BYTES -- CMD… [-- CMD…]\n");
        return 2;
    }
    for (Contender& each : contenders) finish(each);
    return 0;
}
