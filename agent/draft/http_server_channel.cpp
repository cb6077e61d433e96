#include "draft/http_server_channel.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/limits.h"
#include "fetch/curl_library.h"
#include "http/sse_reader.h"
#include "policy/listen_address.h"

namespace callgate {
namespace {

using nlohmann::json;

constexpr int64_t kNanosecondsPerMillisecond = 1'000'000;

std::string lower(std::string text) {
    for (char& c : text) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return text;
}

std::string trimmed(std::string_view text) {
    const size_t first = text.find_first_not_of(" \t\r\n");
    return first == text.npos ? "" : std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

struct HeaderList {
    ~HeaderList() { curl.slist_free_all(list); }
    void add(const std::string& header) { list = curl.slist_append(list, header.c_str()); }
    const CurlLibrary& curl;
    curl_slist* list = nullptr;
};

struct UrlParts {
    ~UrlParts() { curl.url_cleanup(url); }
    std::string part(CURLUPart which, unsigned flags = 0) const {
        char* text = nullptr;
        if (curl.url_get(url, which, &text, flags) != CURLUE_OK) return "";
        std::string copy(text);
        curl.free(text);
        return copy;
    }
    const CurlLibrary& curl;
    CURLU* url = curl.url();
};

}  // namespace

// One request and what has come of its answer.
struct HttpServerChannel::Transfer : SseReader::Handler {
    explicit Transfer(json wanted_id) : id(std::move(wanted_id)) {}

    void event(const SseEvent& event) override {
        std::string reply;
        if (answer.empty() && answers(event.data, id, reply)) answer = event.data;
    }
    void other(std::string_view) override {}
    void oversize(std::string_view) override { is_too_long = true; }
    void oversize_end() override {}

    // Zero ends the transfer: there is what was asked for, or more than can be it.
    size_t take(std::string_view bytes) {
        received += bytes.size();
        is_too_long = is_too_long || received > kDraftAnswerBytesMax;
        if (is_stream) {
            events.feed(bytes, *this);
        } else {
            body += bytes;
        }
        return is_too_long || !answer.empty() ? 0 : bytes.size();
    }
    void take_header(std::string_view line) {
        const size_t colon = line.find(':');
        if (colon == line.npos) return;
        const std::string name = lower(std::string(line.substr(0, colon)));
        if (name == "content-type") is_stream = lower(trimmed(line.substr(colon + 1))).starts_with("text/event-stream");
        if (name == "mcp-session-id") session = trimmed(line.substr(colon + 1));
    }

    json id;
    SseReader events{kDraftAnswerBytesMax};
    std::string body, answer, session;
    size_t received = 0;
    long status = 0;
    bool is_stream = false, is_too_long = false;
};

Result<std::unique_ptr<HttpServerChannel>> HttpServerChannel::open(const std::string& url,
                                                                   const std::vector<std::string>& headers) {
    for (const std::string& header : headers) {
        if (header.find(':') == header.npos || header.find_first_of("\r\n") != header.npos) {
            return Error::invalid("--header " + header, "expected \"Name: value\"");
        }
    }
    std::unique_ptr<HttpServerChannel> channel(new HttpServerChannel());
    channel->curl_ = TRY(CurlLibrary::load());
    channel->handle_ = channel->curl_->easy_init();
    if (channel->handle_ == nullptr) return Error::refused(url, "libcurl cannot be used");
    channel->url_ = url;
    channel->headers_ = headers;
    channel->deadline_ns_ = monotonic_ns() + kDraftTimeout.count() * kNanosecondsPerMillisecond;
    return channel;
}

HttpServerChannel::~HttpServerChannel() {
    if (!session_.empty()) {
        Transfer transfer{json()};
        deadline_ns_ = monotonic_ns() + kDraftEndTimeout.count() * kNanosecondsPerMillisecond;
        static_cast<void>(perform(transfer, nullptr));  // a server need not be able to
    }
    if (handle_) curl_->easy_cleanup(handle_);
}

// Without a message the session is ended.
Status HttpServerChannel::perform(Transfer& transfer, const json* message) {
    const CurlLibrary& curl = *curl_;
    const int64_t left_ms = (deadline_ns_ - monotonic_ns()) / kNanosecondsPerMillisecond;
    const std::string late = "no answer within " + std::to_string(kDraftTimeout.count() / 1000) + " s";
    if (left_ms <= 0) return Error::invalid(url_, late);
    HeaderList headers{curl};
    headers.add("Content-Type: application/json");
    headers.add("Accept: application/json, text/event-stream");
    if (!session_.empty()) headers.add("Mcp-Session-Id: " + session_);
    if (!protocol_version_.empty()) headers.add("MCP-Protocol-Version: " + protocol_version_);
    if (message != nullptr) headers.add("Mcp-Method: " + (*message)["method"].get<std::string>());
    for (const std::string& header : headers_) headers.add(header);
    const std::string body = message != nullptr ? message->dump() : "";
    curl.easy_reset(handle_);
    curl.easy_setopt(handle_, CURLOPT_URL, url_.c_str());
    curl.easy_setopt(handle_, CURLOPT_PROTOCOLS_STR, "http,https");
    curl.easy_setopt(handle_, CURLOPT_NOSIGNAL, 1L);
    curl.easy_setopt(handle_, CURLOPT_TIMEOUT_MS, static_cast<long>(left_ms));
    curl.easy_setopt(handle_, CURLOPT_HTTPHEADER, headers.list);
    if (message != nullptr) {
        curl.easy_setopt(handle_, CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
        curl.easy_setopt(handle_, CURLOPT_COPYPOSTFIELDS, body.c_str());
    } else {
        curl.easy_setopt(handle_, CURLOPT_CUSTOMREQUEST, "DELETE");
    }
    const curl_write_callback take = [](char* bytes, size_t size, size_t count, void* to) {
        return static_cast<Transfer*>(to)->take({bytes, size * count});
    };
    const curl_write_callback take_header = [](char* bytes, size_t size, size_t count, void* to) {
        static_cast<Transfer*>(to)->take_header({bytes, size * count});
        return size * count;
    };
    curl.easy_setopt(handle_, CURLOPT_WRITEFUNCTION, take);
    curl.easy_setopt(handle_, CURLOPT_WRITEDATA, &transfer);
    curl.easy_setopt(handle_, CURLOPT_HEADERFUNCTION, take_header);
    curl.easy_setopt(handle_, CURLOPT_HEADERDATA, &transfer);
    const CURLcode code = curl.easy_perform(handle_);
    curl.easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &transfer.status);
    if (!transfer.session.empty()) session_ = transfer.session;
    if (transfer.is_too_long)
        return Error::invalid(url_, "its answer is longer than " + std::to_string(kDraftAnswerBytesMax) + " bytes");
    if (code == CURLE_OPERATION_TIMEDOUT) return Error::invalid(url_, late);
    if (code != CURLE_OK && transfer.answer.empty()) return Error::invalid(url_, curl.easy_strerror(code));
    return {};
}

Result<std::string> HttpServerChannel::ask(const json& request) {
    Transfer transfer{request["id"]};
    TRY_VOID(perform(transfer, &request));
    if (!transfer.answer.empty()) return std::move(transfer.answer);
    std::string reply;
    if (answers(transfer.body, request["id"], reply)) return std::move(transfer.body);
    // A server that knows no initialize may say so with an error that answers nobody.
    const json said = json::parse(transfer.body, nullptr, false);
    if (said.is_object() && said.contains("error")) return std::move(transfer.body);
    return Error::invalid(url_, "HTTP status " + std::to_string(transfer.status) + " and no answer to " +
                                    request["method"].get<std::string>() +
                                    "; is it an MCP server over Streamable HTTP, and the path right? (of the "
                                    "older HTTP+SSE give a recorded list)");
}

Status HttpServerChannel::tell(const json& notification) {
    Transfer transfer{json()};
    return perform(transfer, &notification);
}

ServerMatch match_of_url(const std::string& text) {
    ServerMatch match;
    const auto curl = CurlLibrary::load();
    if (!curl) return match;
    UrlParts url{*curl.value()};
    if (curl.value()->url_set(url.url, CURLUPART_URL, text.c_str(), 0) != CURLUE_OK || url.part(CURLUPART_SCHEME) != "http")
        return match;
    const std::string host = url.part(CURLUPART_HOST);
    const std::string listen = (host == "localhost" ? "" : host) + ":" + url.part(CURLUPART_PORT, CURLU_DEFAULT_PORT);
    if (!ListenAddress::parse(listen)) return match;
    match.listen = listen;
    const std::string path = url.part(CURLUPART_PATH);
    if (path.size() > 1 && path.find_first_of("%\\") == path.npos) match.path = path;
    return match;
}

}  // namespace callgate
