#include "policy/amount.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "jsonrpc/keys.h"
#include "jsonrpc/text.h"
#include "jsonrpc/walk.h"

namespace callgate {
namespace {

constexpr std::string_view kRoot = "args.";
constexpr int kFractionDigits = 6;
// Digits of kAmountMax in millionths; more significant ones are too large.
constexpr size_t kDigitsMax = 19;

// Finds the value at a path, in one pass over the text.
class PathFinder {
  public:
    explicit PathFinder(const std::vector<std::string>& path) : path_(path) {}

    void open(bool object, const char*) {
        const bool is_on_path = depth_ == 0 || enter_value();
        if (is_on_path && depth_ == path_.size()) found_ = ValueKind::object;  // a container: no number
        levels_[depth_++] = {object, is_on_path, 0};
    }
    void key(const StringToken& token) {
        const Level& level = levels_[depth_ - 1];
        key_matches_ = false;
        if (!level.is_on_path || depth_ > path_.size()) return;
        const std::string& wanted = path_[depth_ - 1];
        decoded_.clear();
        if (token.escaped()) append_decoded(decoded_, token.raw());
        const std::string_view name = token.escaped() ? std::string_view(decoded_) : token.raw();
        key_matches_ = name == wanted;
        is_clear_ = is_clear_ && !is_lenient_match(name, {wanted});
    }
    void scalar(ValueKind kind, const char* begin, const char* end, const StringToken&) {
        if (depth_ == 0 || !enter_value() || depth_ != path_.size()) return;
        found_ = kind;
        text_ = {begin, static_cast<size_t>(end - begin)};
    }
    void close(bool, const char*) { --depth_; }

    ValueKind found() const { return found_; }
    std::string_view text() const { return text_; }
    // No other name on the way could be taken for the one that is wanted.
    bool is_clear() const { return is_clear_; }

  private:
    struct Level {
        bool object, is_on_path;
        size_t items;
    };
    // A value begins in the innermost container; true where the path leads to it.
    bool enter_value() {
        Level& level = levels_[depth_ - 1];
        const size_t index = level.items++;
        if (!level.is_on_path || depth_ > path_.size()) return false;
        return level.object ? key_matches_ : is_index(path_[depth_ - 1], index);
    }
    static bool is_index(const std::string& segment, size_t index) {
        size_t value = 0;
        const auto [end, error] = std::from_chars(segment.data(), segment.data() + segment.size(), value);
        const bool is_canonical = segment == "0" || segment.front() != '0';
        return error == std::errc() && end == segment.data() + segment.size() && is_canonical && value == index;
    }

    const std::vector<std::string>& path_;
    std::array<Level, kJsonDepthMax> levels_;
    size_t depth_ = 0;
    bool key_matches_ = false, is_clear_ = true;
    std::string decoded_;  // a key that is written with escapes
    ValueKind found_ = ValueKind::absent;
    std::string_view text_;
};

}  // namespace

std::string_view phrase(AmountProblem problem) {
    switch (problem) {
        case AmountProblem::none: return "";
        case AmountProblem::unclear: return "is not the only one of nearly that name";
        case AmountProblem::missing: return "is missing";
        case AmountProblem::not_a_number: return "is not a number";
        case AmountProblem::negative: return "is negative";
        case AmountProblem::too_precise: return "has more than six digits after the decimal point";
        case AmountProblem::too_large: return "is larger than any sum";
    }
    return "";
}

Amount parse_amount(std::string_view number) {
    const bool is_negative = number.starts_with('-');
    if (is_negative) number.remove_prefix(1);
    int64_t exponent = 0;
    if (const size_t e = number.find_first_of("eE"); e != number.npos) {
        std::string_view digits = number.substr(e + 1);
        if (digits.starts_with('+')) digits.remove_prefix(1);
        // An exponent of more digits than this moves every digit but zeros out of range.
        const bool is_low = digits.starts_with('-');
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
        if (error == std::errc::result_out_of_range || exponent > 1'000'000 || exponent < -1'000'000) {
            exponent = is_low ? -1'000'000 : 1'000'000;
        } else if (error != std::errc() || end != digits.data() + digits.size()) {
            return {.problem = AmountProblem::not_a_number};
        }
        number = number.substr(0, e);
    }
    // The significant digits, and the power of ten of the last of them.
    std::array<char, kDigitsMax> digits;
    size_t length = 0, zeros = 0;  // zeros: that follow the last digit kept
    int64_t power = exponent;
    bool in_fraction = false, is_long = false;
    for (const char c : number) {
        if (c == '.') {
            if (in_fraction) return {.problem = AmountProblem::not_a_number};
            in_fraction = true;
            continue;
        }
        if (c < '0' || c > '9') return {.problem = AmountProblem::not_a_number};
        if (in_fraction) --power;
        if (c == '0') {
            if (length != 0) ++zeros;
            continue;
        }
        for (; zeros > 0 && length < kDigitsMax; --zeros) digits[length++] = '0';
        if (length == kDigitsMax) is_long = true;
        if (!is_long) digits[length++] = c;
        zeros = 0;
    }
    if (length == 0) return {};  // zero, however it is written
    if (is_negative) return {.problem = AmountProblem::negative};
    if (is_long) return {.problem = power < -kFractionDigits ? AmountProblem::too_precise : AmountProblem::too_large};
    power += static_cast<int64_t>(zeros) + kFractionDigits;
    if (power < 0) return {.problem = AmountProblem::too_precise};
    if (power > static_cast<int64_t>(kDigitsMax)) return {.problem = AmountProblem::too_large};
    __int128 value = 0;
    for (size_t i = 0; i < length; ++i) value = value * 10 + (digits[i] - '0');
    for (int64_t i = 0; i < power; ++i) value *= 10;
    if (value > static_cast<__int128>(kAmountMax) * kAmountScale) return {.problem = AmountProblem::too_large};
    return {.millionths = static_cast<int64_t>(value)};
}

Amount read_amount(std::string_view arguments, const std::vector<std::string>& path) {
    Scanner scanner(arguments, JsonText::document);
    PathFinder finder(path);
    Walk<PathFinder> walk(scanner, finder);
    const bool is_read = !arguments.empty() && walk.value(scanner.space(scanner.begin())) != nullptr;
    if (is_read && !finder.is_clear()) return {.problem = AmountProblem::unclear};
    if (!is_read || finder.found() == ValueKind::absent) return {.problem = AmountProblem::missing};
    if (finder.found() != ValueKind::number) return {.problem = AmountProblem::not_a_number};
    return parse_amount(finder.text());
}

std::string decimal_text(int64_t millionths) {
    std::string out = std::to_string(millionths / kAmountScale);
    const int64_t rest = millionths % kAmountScale;
    if (rest == 0) return out;
    std::string fraction = std::to_string(kAmountScale + rest).substr(1);
    fraction.resize(fraction.find_last_not_of('0') + 1);
    return out + "." + fraction;
}

std::vector<std::string> parse_amount_path(std::string_view text, std::string& problem) {
    if (!text.starts_with(kRoot)) {
        problem = "expected the path of an argument, such as \"args.amount\"";
        return {};
    }
    std::vector<std::string> path(1);
    for (size_t i = kRoot.size(); i < text.size(); ++i) {
        if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == '.' || text[i + 1] == '\\')) {
            path.back() += text[++i];
        } else if (text[i] == '.') {
            path.emplace_back();
        } else {
            path.back() += text[i];
        }
    }
    if (std::any_of(path.begin(), path.end(), [](const std::string& segment) { return segment.empty(); })) {
        problem = "has an empty name between two dots";
        return {};
    }
    if (std::find(path.begin(), path.end(), "*") != path.end()) {
        problem = "\"*\" is not one amount; name a single argument";
        return {};
    }
    if (path.size() > static_cast<size_t>(kJsonDepthMax)) {
        problem = "is deeper than any argument may be";
        return {};
    }
    return path;
}

}  // namespace callgate
