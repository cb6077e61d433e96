// Pieces of HTTP and of event streams that a byte-wise mutation would hardly ever make.
#include "pieces.h"

const std::vector<std::string> kPieces = {
    "\r\n", "\n", "\r", "\r\n\r\n", " ", "\t", ":", ",", ";", std::string(1, '\0'), "\x0b", "\x7f", "\xa0",
    "\xef\xbb\xbf", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST /mcp HTTP/1.1\r\nHost: a\r\n", " HTTP/1.0\r\n",
    " HTTP/1.1\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 204 \r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "Host: a\r\n",
    "http://a", "OPTIONS * HTTP/1.1\r\n", "CONNECT a:1", "Content-Length: 2\r\n", "Content-Length: 0\r\n",
    "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "Connection: close\r\n",
    "Connection: keep-alive, X, upgrade\r\n", "Upgrade: websocket\r\n", "Expect: 100-continue\r\n", "TE: trailers\r\n",
    "Mcp-Session-Id: s\r\n", "Mcp_Name: s\r\n", "Accept-Encoding: gzip\r\n", "X: 1\r\n", "X : 1\r\n", "0\r\n\r\n",
    "2\r\n{}\r\n", "2;a=b\r\n", "0\r\nX: 1\r\n\r\n", "ffffffffffffffff\r\n", ";a=\"b\\\"\"", "\"",
    "data: {}\n\n", "data:\n", "data: a\r\n\r\n", "data\r", "event: x\n", "id: 7\n", ": ping\n", "\n\n", "\r\r", "retry: 1\n"};
