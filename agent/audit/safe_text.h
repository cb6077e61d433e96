// Text that others chose, made safe to store and to show.
//
// Escaped are: control characters, DEL, C1 controls (U+0080–9F), line and paragraph separators, bidirectional
// controls, and what is not seen: joiners and spaces without width, variation selectors, fillers, tags, the byte order mark. A
// record printed to a terminal can therefore neither move the cursor, nor reorder a line, nor hide text. Bytes that are not UTF-8
// become U+FFFD.
//
//   append_json_text:     a "b" ESC  ->  "a \"b\" \u001b"
//   append_terminal_text: a "b" ESC  ->  a "b" \u001b
#pragma once
#include <string>
#include <string_view>

namespace callgate {

// A JSON string literal with its quotes.
void append_json_text(std::string& out, std::string_view text);
// A value that already is JSON on one line: the same value, with unsafe characters of its strings escaped.
void append_json_value(std::string& out, std::string_view json);
// The same of a document that is broken into lines, which stay.
std::string safe_json_document(std::string_view json);
// For a terminal: unsafe characters are shown as \uXXXX.
void append_terminal_text(std::string& out, std::string_view text);
std::string terminal_text(std::string_view text);

}  // namespace callgate
