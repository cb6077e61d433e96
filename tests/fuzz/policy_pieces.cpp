// Pieces of policies and of arguments that a byte-wise mutation would hardly ever make.
#include "pieces.h"

const std::vector<std::string> kPieces = {
    "\"version\":\"1\"", "\"default\":\"allow\"", "\"hide\":[\"*\"]", "\"aliases\":{\"b\":\"a\"}", "\"tools\":{", "\"methods\":{",
    "\"tasks/*\":{}", "\"names\":{", "\"call_methods\":{\"tools/batch\":\"params.calls[*].name\"}", "\"deny_if\":[", "\"require\":[",
    "\"require_approval\":[", "{\"conditions\":[]}", "{\"conditions\":[{\"path\":\"args.a\",\"op\":\"eq\",\"value\":1}]}",
    "\"path\":\"args.l.*\"", "\"path\":\"peer.uid\"", "\"op\":\"regex\"", "\"op\":\"in\"", "\"value\":[1,\"a\"]", "\"value\":\"(a*)*b\"",
    "\"value\":\"a(\"", "\"glob:a[\":{}", "\"action\":\"require_approval\"", "\"limits\":[{\"counter\":\"c\",\"window\":1,\"max\":1}]",
    "args.", "\\.", "\\\\", "*", "1e400", "1e-400", "-0", "9007199254740993", "0.1", "\\u0061", "\\ud800", "\xff", "\"a\":", "\"l\":[",
    "\"*\":", "\"0\":", "{", "}", "[", "]", ",", ":", "null", "true", "false", "\n", "\"", std::string(1, '\0'), "[[[[[[[[[[[[[[[["};
