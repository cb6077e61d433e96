#include "jsonrpc/batch.h"

#include "jsonrpc/walk.h"

namespace callgate {
namespace {

// Notes where the values directly inside the outermost array begin and end.
class Elements {
  public:
    Elements(Scanner& scanner, size_t max, std::vector<std::string_view>& out) : scanner_(scanner), max_(max), out_(out) {}

    void open(bool, const char* at) {
        if (depth_++ == 1) begin_ = at;
    }
    void key(const StringToken&) {}
    void scalar(ValueKind, const char* begin, const char* end, const StringToken&) {
        if (depth_ == 1) add(begin, end);
    }
    void close(bool, const char* end) {
        if (--depth_ == 1) add(begin_, end);
    }

  private:
    void add(const char* begin, const char* end) {
        if (out_.size() == max_) {
            scanner_.note(Refusal::too_many_members, begin);
        } else {
            out_.emplace_back(begin, static_cast<size_t>(end - begin));
        }
    }

    Scanner& scanner_;
    size_t max_;
    std::vector<std::string_view>& out_;
    size_t depth_ = 0;
    const char* begin_ = nullptr;
};

}  // namespace

bool is_batch(std::string_view text) {
    const size_t first = text.find_first_not_of(" \t\r\n");
    return first != text.npos && text[first] == '[';
}

BatchProblem split_batch(std::string_view text, size_t elements_max, std::vector<std::string_view>& elements) {
    elements.clear();
    Scanner scanner(text, JsonText::document);
    const char* p = scanner.space(scanner.begin());
    if (p == scanner.end() || *p != '[') {
        scanner.fail(Refusal::not_object, p);
    } else {
        Elements visitor(scanner, elements_max, elements);
        p = Walk(scanner, visitor).value(p);
        if (p != nullptr) p = scanner.space(p);
        if (p != nullptr && p != scanner.end()) {
            scanner.fail(*p == '\0' ? Refusal::nul_byte : Refusal::trailing_bytes, p);
        }
    }
    return {scanner.refusal(), scanner.refused_offset()};
}

}  // namespace callgate
