// Properties: each line of a client gets one answer, in its order, whatever the chunks that they come in; the answer is an object
// that says whether all was well; and who asks is what the kernel says, whatever the request said.
// The first input byte chooses a size of the chunks; the rest is what the client sends.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "control/connection.h"
#include "property.h"

namespace {

using callgate::ControlConnection;
using callgate::Fd;
using Json = nlohmann::json;

const std::vector<std::string> kVerbs = {"status", "sessions", "broken"};

struct Run {
    std::vector<std::string> verbs;  // that reached the handler
    std::string answers;
    bool operator==(const Run&) const = default;
};

std::string receive(const Fd& client) {
    std::string all;
    char bytes[4096];
    for (ssize_t got; (got = recv(client.get(), bytes, sizeof(bytes), MSG_DONTWAIT)) > 0;) all.append(bytes, got);
    return all;
}

Run run(std::string_view stream, size_t chunk_bytes) {
    Run run;
    const auto handler = [&run](const Json& request) -> Json {
        const Json& peer = request.at("peer");
        hold(peer.size() == 3 && peer.at("uid") == geteuid() && peer.at("pid") == getpid(), "control", "somebody else asks");
        run.verbs.push_back(request.at("verb").get<std::string>());
        if (run.verbs.back() == "broken") return request.at("absent");  // throws
        return {{"members", request.size()}};
    };
    int ends[2];
    hold(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "control", "there is no socket");
    const Fd client = Fd::adopt(ends[1]);
    ControlConnection connection(Fd::adopt(ends[0]), 0);
    const auto advance = [&] {
        pollfd more{connection.fd(), POLLIN, 0};
        do {
            connection.advance(kVerbs, handler, 0);
            run.answers += receive(client);
        } while (!connection.is_finished(0) && (connection.is_ready() || poll(&more, 1, 0) == 1));
    };
    for (size_t at = 0; at < stream.size() && !connection.is_finished(0); at += chunk_bytes) {
        std::string chunk(stream.substr(at, chunk_bytes));
#ifdef CANARY
        if (chunk_bytes == 1 && chunk == "\n" && run.verbs.size() == 2) chunk = " ";
#endif
        (void)!send(client.get(), chunk.data(), chunk.size(), MSG_NOSIGNAL);
        advance();
    }
    shutdown(client.get(), SHUT_WR);
    advance();
    hold(connection.is_finished(0), "control", "it waits for a client that has gone");
    return run;
}

// Every line by itself.
Run expected(std::string_view stream) {
    Run run;
    for (size_t end; (end = stream.find('\n')) != std::string_view::npos; stream.remove_prefix(end + 1)) {
        Json request = Json::parse(stream.substr(0, end), nullptr, false);
        const bool is_asked = request.is_object() && request.contains("verb") && request["verb"].is_string();
        const std::string verb = is_asked ? request["verb"].get<std::string>() : "";
        if (std::find(kVerbs.begin(), kVerbs.end(), verb) == kVerbs.end()) continue;
        run.verbs.push_back(verb);
    }
    return run;
}

void check_answers(const std::string& answers, std::string_view stream) {
    size_t lines = 0;
    for (std::string_view rest = answers; !rest.empty(); ++lines) {
        const size_t end = rest.find('\n');
        hold(end != std::string_view::npos, "control", "an answer does not end");
        const Json answer = Json::parse(rest.substr(0, end), nullptr, false);
        const bool is_one = answer.is_object() && answer.size() == 2 && answer.contains("ok") && answer["ok"].is_boolean() &&
                            answer.contains(answer["ok"].get<bool>() ? "result" : "error");
        hold(is_one, "control", "what is no answer is answered");
        rest.remove_prefix(end + 1);
    }
    const auto asked = static_cast<size_t>(std::count(stream.begin(), stream.end(), '\n'));
    hold(lines == asked, "control", "not as many answers as lines");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 1) return 0;
    const std::string_view stream(reinterpret_cast<const char*>(data) + 1, std::min(size - 1, callgate::kControlRequestBytesMax));
    const Run whole = run(stream, std::max<size_t>(stream.size(), 1));
    hold(whole.verbs == expected(stream).verbs, "control", "something else is asked for");
    check_answers(whole.answers, stream);
    for (const size_t chunk_bytes : {size_t{1}, size_t{7}, size_t{1} + data[0]})
        hold(run(stream, chunk_bytes) == whole, "control", "the chunks change the answers");
    return 0;
}
