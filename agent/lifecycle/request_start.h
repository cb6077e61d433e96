// Where a request of HTTP/1 begins in what a server has read, as far as that can be told without what came before.
#pragma once
#include <string_view>

namespace callgate {

// No server takes a request for one whose first line does not say so.
inline constexpr std::string_view kHttpWord = "http/1";

// The word is somewhere in it, in whatever case.
bool names_http(std::string_view bytes);
// The whole first line of a request; empty lines before it are allowed (RFC 9112, 2.2).
bool begins_request(std::string_view bytes);

// A method and a blank, or the beginning of one: enough where nothing else can come.
bool may_begin_request(std::string_view bytes);
// Messages on lines, as on stdio; HTTP and other protocols never begin so.
bool begins_message(std::string_view bytes);

}  // namespace callgate
