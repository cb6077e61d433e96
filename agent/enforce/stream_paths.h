// StreamPaths: where the servers of HTTP+SSE streams take the messages of their clients, as their `endpoint` events say
// (revision 2024-11-05). A policy that is restricted to the path of the stream holds for these paths too.
//
//   GET /sse -> "event: endpoint", "data: /messages/?session_id=1f"  ->  /messages, and what lies below it
//
// Of the server that said so: of whatever listens at its address, and of its process, wherever else that listens. A path is
// kept for a while after its last stream, as the server hears of the end after us. Bounded: where there are more than
// kHttpStreamPathsMax, that is forgotten which no open stream has had for longest. One thread.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "enforce/http_facts.h"

namespace callgate {

class StreamPaths {
  public:
    // `path` as loosest_path() gives it. A stream that is a session's, from its begin to its end; as often as you like.
    void begin(const HttpFacts& facts, std::string_view path);
    void end(const HttpFacts& facts, std::string_view path);
    // One that is no session's: kept as if it had just ended.
    void know(const HttpFacts& facts, std::string_view path);
    // Some server may take `path`, as a client wrote it and without its query, for one of them or for something below one.
    bool takes(const HttpFacts& facts, std::string_view path) const;

    // For another agent: those without streams, and since when (monotonic); nothing is left here.
    std::vector<std::pair<std::string, int64_t>> leave();
    void restore(std::vector<std::pair<std::string, int64_t>> left);

  private:
    struct Use {
        size_t streams = 0;
        int64_t left_ns = 0;  // monotonic; since when there are none
    };
    bool is_known(const std::string& owner, std::string_view reading) const;
    void make_room();

    std::map<std::string, Use, std::less<>> paths_;  // by owner and path; each path twice, see above
};

}  // namespace callgate
