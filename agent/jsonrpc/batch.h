// split_batch: the elements of a JSON array, as they stand in it. Over HTTP an array is judged element by element.
//
//   ` [ {"id":1}, 2 ]`  ->  none; `{"id":1}`, `2`          `[{"id":1},]`  ->  not_json at 10
//
// The array itself must be strict JSON to its last byte; what its elements mean is MessageParser's business, which reads
// each of them again and as strictly as a message that comes alone.
#pragma once
#include <cstddef>
#include <string_view>
#include <vector>

#include "jsonrpc/refusal.h"

namespace callgate {

struct BatchProblem {
    Refusal refusal = Refusal::none;
    size_t offset = 0;
    bool ok() const { return refusal == Refusal::none; }
};

// True where the first byte that is not white space opens an array.
bool is_batch(std::string_view text);
// Replaces `elements`, whose views point into `text`. More than `elements_max` of them are refused (too_many_members).
BatchProblem split_batch(std::string_view text, size_t elements_max, std::vector<std::string_view>& elements);

}  // namespace callgate
