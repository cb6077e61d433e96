// What one frame costs: parsing alone, and framing with parsing as the relay does it.
#include <benchmark/benchmark.h>

#include <cassert>
#include <string>

#include "frame/line_framer.h"
#include "jsonrpc/message.h"
#include "jsonrpc/tools_list.h"

namespace callgate {
namespace {

std::string tools_call_220() {
    std::string line = R"({"jsonrpc":"2.0","id":48213,"method":"tools/call","params":{"name":"read_text_file","arguments":)"
                       R"({"path":"/srv/data/projects/alpha/notes.txt","head":40},"_meta":{"progressToken":48213,"trace":"")";
    const std::string tail = "\"}}}\n";
    line.insert(line.size() - 1, std::string(220 - line.size() - tail.size() + 1, 'x'));
    line.pop_back();
    line += tail;
    assert(line.size() == 220);
    return line;
}

std::string long_string_frame(size_t bytes, std::string_view unit) {
    std::string line = R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write","arguments":{"text":")";
    while (line.size() < bytes) line += unit;
    return line + "\"}}}\n";
}

void parse(benchmark::State& state, const std::string& line) {
    MessageParser parser;
    for (auto _ : state) benchmark::DoNotOptimize(&parser.parse(line));
    assert(parser.parse(line).refusal == Refusal::none);
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * line.size()));
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}

void parse_tools_call_220(benchmark::State& state) { parse(state, tools_call_220()); }
void parse_1MiB_ascii_string(benchmark::State& state) { parse(state, long_string_frame(1 << 20, "abcdefgh")); }
void parse_1MiB_cjk_string(benchmark::State& state) { parse(state, long_string_frame(1 << 20, "\u6f22\u5b57")); }
void parse_1MiB_escapes(benchmark::State& state) { parse(state, long_string_frame(1 << 20, R"(line of text\n)")); }

void parse_65536_keys(benchmark::State& state) {
    std::string line = R"({"jsonrpc":"2.0","id":1,"method":"x","params":{"arguments":{"k0":0)";
    for (int i = 1; i < 65536; ++i) line += ",\"k" + std::to_string(i) + "\":0";
    parse(state, line + "}}}\n");
}

struct ParsingHandler final : LineFramer::Handler {
    bool line(std::string_view bytes) override {
        benchmark::DoNotOptimize(&parser.parse(bytes));
        return true;
    }
    void oversize(std::string_view) override {}
    void skipped(size_t) override {}
    MessageParser parser;
};

void frame_and_parse_64KiB_chunks(benchmark::State& state) {
    const std::string line = tools_call_220();
    std::string stream;
    while (stream.size() < (1 << 20)) stream += line;
    LineFramer framer(kFrameBytesDefault);
    ParsingHandler handler;
    for (auto _ : state) {
        for (size_t at = 0; at < stream.size(); at += kReadBytes) {
            framer.feed(std::string_view(stream).substr(at, kReadBytes), handler);
        }
    }
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * (stream.size() / line.size())));
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * stream.size()));
}

struct NullHandler final : LineFramer::Handler {
    bool line(std::string_view bytes) override {
        benchmark::DoNotOptimize(bytes.size());
        return true;
    }
    void oversize(std::string_view) override {}
    void skipped(size_t) override {}
};

void frame_64MiB_in_64KiB_chunks(benchmark::State& state) {
    const std::string chunk(kReadBytes, 'x');
    LineFramer framer(kFrameBytesMax);
    NullHandler handler;
    for (auto _ : state) {
        for (size_t fed = chunk.size(); fed < kFrameBytesMax; fed += chunk.size()) framer.feed(chunk, handler);
        framer.feed("\n", handler);
    }
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * kFrameBytesMax));
}

void filter_100_tools(benchmark::State& state) {
    std::string line = R"({"jsonrpc":"2.0","id":1,"result":{"tools":[)";
    for (int i = 0; i < 100; ++i) {
        line += (i == 0 ? "" : ",") + std::string(R"({"name":"tool_)") + std::to_string(i) +
                R"(","description":"Does a thing.","inputSchema":{"type":"object","properties":{}}})";
    }
    line += "]}}\n";
    std::string out;
    for (auto _ : state) {
        out.clear();
        const auto filter = filter_tools_list(
            line, [](std::string_view tool) { return tool == "tool_7"; }, out);
        benchmark::DoNotOptimize(filter.hidden.size());
    }
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * line.size()));
}

BENCHMARK(parse_tools_call_220);
BENCHMARK(parse_1MiB_ascii_string);
BENCHMARK(parse_1MiB_cjk_string);
BENCHMARK(parse_1MiB_escapes);
BENCHMARK(parse_65536_keys);
BENCHMARK(frame_and_parse_64KiB_chunks);
BENCHMARK(frame_64MiB_in_64KiB_chunks);
BENCHMARK(filter_100_tools);

}  // namespace
}  // namespace callgate
