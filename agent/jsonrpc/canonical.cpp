#include "jsonrpc/canonical.h"

#include <algorithm>
#include <vector>

#include "jsonrpc/answer.h"
#include "jsonrpc/walk.h"

namespace callgate {
namespace {

// What is open at the moment: where its text begins in `out`, and of an object where each member is.
struct Container {
    struct Member {
        std::string key;  // decoded: UTF-8 sorts as code points do
        size_t begin, end;
        bool omitted;
    };
    bool object = false;
    size_t begin = 0;
    size_t values = 0;
    std::vector<Member> members;
};

// Members are written as they come; when their object ends they are put in order.
class Canonicalizer {
  public:
    Canonicalizer(std::string& out, std::span<const OmittedMember> omitted) : out_(out), omitted_(omitted) {}

    void open(bool object, const char*) {
        before_value();
        Container container;
        container.object = object;
        container.begin = out_.size();
        out_ += object ? '{' : '[';
        open_.push_back(std::move(container));
    }
    void key(const StringToken& token) {
        std::string decoded;
        append_decoded(decoded, token.raw());
        const bool omitted = is_omitted(decoded);
        open_.back().members.push_back({std::move(decoded), 0, 0, omitted});
    }
    void scalar(ValueKind kind, const char* begin, const char* end, const StringToken& token) {
        before_value();
        if (kind == ValueKind::string) {
            text_.clear();
            append_decoded(text_, token.raw());
            append_json_string(out_, text_);
        } else if (kind == ValueKind::number) {
            append_canonical_number(out_, {begin, static_cast<size_t>(end - begin)});
        } else {
            out_.append(begin, end);
        }
        after_value();
    }
    void close(bool object, const char*) {
        if (object) sort_members(open_.back());
        out_ += object ? '}' : ']';
        open_.pop_back();
        after_value();
    }

  private:
    bool is_omitted(const std::string& key) const {
        if (omitted_.empty() || open_.size() > 2 || !open_.front().object) return false;
        const bool is_inner = open_.size() == 2;
        const std::string_view outer = is_inner ? open_.front().members.back().key : key;
        const std::string_view inner = is_inner ? std::string_view(key) : std::string_view();
        return std::any_of(omitted_.begin(), omitted_.end(),
                           [&](const OmittedMember& each) { return each.outer == outer && each.inner == inner; });
    }
    void before_value() {
        if (open_.empty()) return;
        Container& in = open_.back();
        if (in.object) {
            in.members.back().begin = out_.size();
            append_json_string(out_, in.members.back().key);
            out_ += ':';
        } else if (in.values++ > 0) {
            out_ += ',';
        }
    }
    void after_value() {
        if (!open_.empty() && open_.back().object) open_.back().members.back().end = out_.size();
    }
    void sort_members(Container& object) {
        std::sort(object.members.begin(), object.members.end(),
                  [](const Container::Member& a, const Container::Member& b) { return a.key < b.key; });
        std::string sorted;
        sorted.reserve(out_.size() - object.begin);
        bool omits_any = false;
        for (const Container::Member& member : object.members) {
            omits_any |= member.omitted;
            if (member.omitted) continue;
            if (!sorted.empty()) sorted += ',';
            sorted.append(out_, member.begin, member.end - member.begin);
        }
        if (omits_any && sorted.empty() && open_.size() == 2) open_.front().members.back().omitted = true;
        out_.resize(object.begin + 1);
        out_ += sorted;
    }

    std::string& out_;
    std::span<const OmittedMember> omitted_;
    std::string text_;
    std::vector<Container> open_;
};

bool is_zero(char c) { return c == '0'; }

}  // namespace

void append_canonical_number(std::string& out, std::string_view token) {
    // So many digits of an exponent fit an int64_t with everything that is added to it.
    constexpr size_t kExponentDigitsMax = 13;
    std::string_view rest = token;
    const bool negative = rest.front() == '-';
    if (negative) rest.remove_prefix(1);
    const size_t e = rest.find_first_of("eE");
    const std::string_view mantissa = rest.substr(0, e);
    int64_t exponent = 0;
    if (e != rest.npos) {
        std::string_view digits = rest.substr(e + 1);
        const bool minus = digits.front() == '-';
        if (minus || digits.front() == '+') digits.remove_prefix(1);
        digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
        if (digits.size() > kExponentDigitsMax) {
            out += token;
            return;
        }
        for (char c : digits) exponent = exponent * 10 + (c - '0');
        if (minus) exponent = -exponent;
    }
    std::string digits(mantissa);
    if (const size_t point = digits.find('.'); point != digits.npos) {
        exponent -= static_cast<int64_t>(digits.size() - point - 1);
        digits.erase(point, 1);
    }
    digits.erase(digits.begin(), std::find_if_not(digits.begin(), digits.end(), is_zero));
    if (digits.empty()) {
        out += '0';
        return;
    }
    const size_t last = digits.find_last_not_of('0');
    exponent += static_cast<int64_t>(digits.size() - last - 1);
    digits.resize(last + 1);
    if (negative) out += '-';
    out += digits;
    if (exponent != 0) out.append("e").append(std::to_string(exponent));
}

bool append_canonical(std::string& out, std::string_view json, std::span<const OmittedMember> omitted) {
    const size_t before = out.size();
    Scanner scanner(json, JsonText::document);
    Canonicalizer canonicalizer(out, omitted);
    const char* past = Walk(scanner, canonicalizer).value(scanner.space(scanner.begin()));
    const bool whole = past != nullptr && scanner.space(past) == scanner.end() && scanner.refusal() == Refusal::none;
    if (!whole) out.resize(before);
    return whole;
}

}  // namespace callgate
