#include "jsonrpc/input_requests.h"

#include <string>

#include "jsonrpc/keys.h"
#include "jsonrpc/walk.h"

namespace callgate {
namespace {

constexpr std::string_view kKey = "inputRequests";

class InputRequestReader {
  public:
    explicit InputRequestReader(InputRequests& found) : found_(found) {}

    void open(bool object, const char* at) {
        ++depth_;
        if (depth_ == 2 && fits_) {
            found_.kind = object && !is_near_ ? InputRequests::Kind::asked : InputRequests::Kind::unclear;
            inside_ = true;
        }
        if (depth_ == 3 && inside_) {
            if (!object) found_.kind = InputRequests::Kind::unclear;
            begin_ = at;
        }
    }
    void key(const StringToken& token) {
        if (depth_ != 1) return;
        decoded_.clear();
        append_decoded(decoded_, token.raw());
        is_near_ = is_lenient_match(decoded_, {kKey});
        fits_ = is_near_ || decoded_ == kKey;
    }
    void scalar(ValueKind kind, const char*, const char*, const StringToken&) {
        const bool is_asked = (depth_ == 1 && fits_ && kind != ValueKind::null) || (depth_ == 2 && inside_);
        if (is_asked) found_.kind = InputRequests::Kind::unclear;
    }
    void close(bool, const char* end) {
        if (depth_ == 3 && inside_) found_.requests.emplace_back(begin_, static_cast<size_t>(end - begin_));
        if (depth_ == 2) inside_ = false;
        --depth_;
    }

  private:
    InputRequests& found_;
    std::string decoded_;
    const char* begin_ = nullptr;
    int depth_ = 0;
    bool fits_ = false, is_near_ = false, inside_ = false;
};

}  // namespace

InputRequests read_input_requests(std::string_view result) {
    InputRequests found;
    Scanner scanner(result, JsonText::document);
    InputRequestReader reader(found);
    if (Walk(scanner, reader).value(scanner.space(scanner.begin())) == nullptr) found.kind = InputRequests::Kind::unclear;
    return found;
}

}  // namespace callgate
