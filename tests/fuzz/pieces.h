// What the mutations put in: <kind>_pieces.cpp, one of which each replay is linked with.
#pragma once
#include <string>
#include <vector>

extern const std::vector<std::string> kPieces;
