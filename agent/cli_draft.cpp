// callgate draft: a starter policy from a server's list of tools.
#include <csignal>
#include <cstdio>
#include <fstream>

#include "audit/safe_text.h"
#include "base/counted.h"
#include "base/limits.h"
#include "cli.h"
#include "draft/draft_policy.h"
#include "draft/http_server_channel.h"
#include "draft/server_process.h"

namespace callgate {
namespace {

// What is drafted from: the list, and how a policy names the server where that is known.
struct Source {
    ToolListing listing;
    ServerMatch server;
};

bool is_url(const std::string& source) { return source.starts_with("http://") || source.starts_with("https://"); }

Result<Source> read_recorded(const std::string& path) {
    std::ifstream file(path == "-" ? "/dev/stdin" : path, std::ios::binary);
    if (!file) return Error::invalid(path, "cannot be read");
    std::string text;
    char bytes[kReadBytes];
    while (file.read(bytes, sizeof(bytes)) || file.gcount() > 0) {
        text.append(bytes, static_cast<size_t>(file.gcount()));
        if (text.size() > kDraftFileBytesMax) return Error::invalid(path, "is longer than any list of tools");
    }
    if (file.bad()) return Error::invalid(path, "cannot be read");
    Source source;
    TRY_VOID(source.listing.add_text(text, path == "-" ? "standard input" : path));
    return source;
}

Result<Source> ask_url(const std::string& url, const std::vector<std::string>& headers) {
    const std::unique_ptr<HttpServerChannel> server = TRY(HttpServerChannel::open(url, headers));
    Source source;
    source.listing = TRY(list_tools(*server, url));
    source.server = match_of_url(url);
    return source;
}

// A command line as the pattern that matches it.
std::string as_pattern(const std::string& command) {
    std::string pattern;
    for (char c : command) {
        if (c == '*' || c == '?' || c == '[' || c == '\\') pattern += '\\';
        pattern += c;
    }
    return pattern;
}

Result<Source> ask_command(const std::vector<std::string>& command) {
    ServerProcess server = TRY(ServerProcess::start(command));
    Source source;
    source.listing = TRY(list_tools(server, command.front()));
    const ServerIdentity identity = server.identity();
    source.server.package = identity.package.name;
    if (source.server.package.empty()) source.server.command = as_pattern(identity.command);
    server.end();
    return source;
}

void print_summary(const Draft& draft, const ToolListing& listing, const ServerMatch& server) {
    std::string line = "callgate: " + counted(listing.tools().size(), "tool") + ":";
    const char* separator = " ";
    for (size_t i = 0; i < kRiskClasses; ++i) {
        line += separator + std::to_string(draft.tools[i]) + " " + std::string(name(static_cast<RiskClass>(i)));
        separator = ", ";
    }
    if (draft.aliases > 0) line += "; " + std::to_string(draft.aliases) + (draft.aliases == 1 ? " alias" : " aliases");
    fprintf(stderr, "%s\n", line.c_str());
    for (const std::string& tool : draft.unusable)
        print_error("no policy can name the tool \"" + tool + "\"; the default denies it");
    if (listing.left_out() > 0) print_error(std::to_string(listing.left_out()) + " entries of the list are no tools");
    if (server.empty()) {
        print_error(
            "nothing says which server this is; name it with --package, --command or --listen before the "
            "policy can govern one");
    }
}

}  // namespace

int draft_from(const DraftOptions& options) {
    if (options.source.empty() == options.command_line.empty()) {
        print_error("name a file, a URL, or a command after \"--\"; \"callgate draft --help\" has examples");
        return kExitUsage;
    }
    std::signal(SIGPIPE, SIG_IGN);
    Result<Source> source = !options.command_line.empty() ? ask_command(options.command_line)
                            : is_url(options.source)      ? ask_url(options.source, options.headers)
                                                          : read_recorded(options.source);
    if (!source.ok()) {
        print_error(source.error().text());
        return kExitNo;
    }
    ServerMatch server = source->server;
    if (!options.server.empty()) server = options.server;
    const Draft draft = draft_policy(source->listing.tools(), server);
    std::vector<PolicyProblem> problems;
    const bool loads = Policy::load(draft.text, "draft", problems) != nullptr;
    for (const PolicyProblem& problem : problems) print_error(problem.text());
    if (!loads) return kExitNo;                               // what --package and the like say cannot stand in a policy
    const std::string text = safe_json_document(draft.text);  // names are the server's
    fwrite(text.data(), 1, text.size(), stdout);
    if (fflush(stdout) != 0) {
        print_error("standard output cannot be written");
        return kExitInternal;
    }
    print_summary(draft, source->listing, server);
    return kExitDone;
}

}  // namespace callgate
