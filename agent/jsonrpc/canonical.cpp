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

struct Range {
    size_t begin, end;
};
// An object whose members did not come in their order, or not all of which count: its text, and which of `members` are its.
struct Disorder {
    Range text;
    size_t first, number;
};

// Members are written as they come. Which objects have to be put in order is known when each ends, and is done for all at
// once, so that no text is moved as often as it is nested.
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
        out_ += object ? '}' : ']';
        if (object) note_order(open_.back());
        open_.pop_back();
        after_value();
    }
    // Of the whole value, which begins at `begin`.
    void put_in_order(size_t begin) {
        if (disorders_.empty()) return;
        // They were noted as they ended.
        std::sort(disorders_.begin(), disorders_.end(),
                  [](const Disorder& a, const Disorder& b) { return a.text.begin < b.text.begin; });
        std::string ordered;
        ordered.reserve(out_.size() - begin);
        append_ordered(ordered, {begin, out_.size()});
        out_.replace(begin, out_.npos, ordered);
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
            if (in.members.size() > 1) out_ += ',';
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
    void note_order(Container& object) {
        const auto is_before = [](const Container::Member& a, const Container::Member& b) { return a.key < b.key; };
        std::vector<Container::Member>& members = object.members;
        const bool omits_any = std::any_of(members.begin(), members.end(), [](const auto& each) { return each.omitted; });
        if (!omits_any && std::is_sorted(members.begin(), members.end(), is_before)) return;
        std::sort(members.begin(), members.end(), is_before);
        Disorder disorder{{object.begin, out_.size()}, members_.size(), 0};
        for (const Container::Member& member : members) {
            if (!member.omitted) members_.push_back({member.begin, member.end});
        }
        disorder.number = members_.size() - disorder.first;
        disorders_.push_back(disorder);
        if (disorder.number == 0 && open_.size() == 2) open_.front().members.back().omitted = true;
    }
    // Not deeper than JSON may be nested.
    void append_ordered(std::string& ordered, Range text) const {
        const auto begins_before = [](const Disorder& each, size_t at) { return each.text.begin < at; };
        auto next = std::lower_bound(disorders_.begin(), disorders_.end(), text.begin, begins_before);
        while (next != disorders_.end() && next->text.begin < text.end) {
            ordered.append(out_, text.begin, next->text.begin + 1 - text.begin);
            for (size_t i = 0; i < next->number; ++i) {
                if (i > 0) ordered += ',';
                append_ordered(ordered, members_[next->first + i]);
            }
            text.begin = next->text.end - 1;
            next = std::lower_bound(next, disorders_.end(), text.begin, begins_before);
        }
        ordered.append(out_, text.begin, text.end - text.begin);
    }

    std::string& out_;
    std::span<const OmittedMember> omitted_;
    std::string text_;
    std::vector<Container> open_;
    std::vector<Disorder> disorders_;
    std::vector<Range> members_;  // of those, one after the other
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
    if (whole) {
        canonicalizer.put_in_order(before);
    } else {
        out.resize(before);
    }
    return whole;
}

}  // namespace callgate
