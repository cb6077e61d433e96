// Appends what was judged of every frame that would go on to the file that CALLGATE_FRAMES names, one JSON object a line, for
// differential.py to compare with what other parsers read.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "jsonrpc/answer.h"
#include "jsonrpc/message.h"
#include "property.h"

namespace {

FILE* file() {
    static FILE* const opened = [] {
        const char* const path = std::getenv("CALLGATE_FRAMES");
        FILE* const out = path ? std::fopen(path, "w") : nullptr;
        hold(out != nullptr, "differential", "CALLGATE_FRAMES names no file");
        return out;
    }();
    return opened;
}

void append(std::string& out, const char* key, std::string_view text) {
    out += out.empty() ? "{\"" : ",\"";
    out.append(key).append("\":");
    callgate::append_json_string(out, text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static callgate::MessageParser parser;
    const std::string_view line(reinterpret_cast<const char*>(data), size);
    const callgate::Message& message = parser.parse(line);
    const bool is_asked = message.kind == callgate::MessageKind::request || message.kind == callgate::MessageKind::notification;
    if (!is_asked) return 0;
    std::string out;
    append(out, "frame", line);
    append(out, "id", message.id_token);
    append(out, "method", message.method);
#ifdef CANARY
    append(out, "name", message.name.substr(message.name.size() == 4 ? 1 : 0));
#else
    append(out, "name", message.name);
#endif
    append(out, "uri", message.uri);
    append(out, "arguments", message.arguments);
    out += "}\n";
    std::fwrite(out.data(), 1, out.size(), file());
    return 0;
}
