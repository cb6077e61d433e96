#include "policy/params_reader.h"

#include <array>

#include "base/limits.h"
#include "jsonrpc/keys.h"
#include "jsonrpc/walk.h"

namespace callgate {
namespace {

constexpr std::string_view kArguments = "arguments";

template <typename Visitor>
bool visit(std::string_view json, Visitor& visitor) {
    Scanner scanner(json, JsonText::document);
    return Walk(scanner, visitor).value(scanner.space(scanner.begin())) != nullptr;
}

class TextFinder {
  public:
    TextFinder(std::span<const std::string_view> path, std::string& found) : path_(path), found_(found) {}
    void open(bool object, const char*) {
        const bool inside = depth_ == 0 || (matched_ == depth_ && is_next_);
        if (object && inside) matched_ = depth_ + 1;
        if (is_next_ && (!object || depth_ == path_.size())) is_clear_ = false;
        ++depth_;
        is_next_ = false;
    }
    void key(const StringToken& token) {
        is_next_ = false;
        if (matched_ != depth_ || depth_ > path_.size()) return;
        key_.clear();
        append_decoded(key_, token.raw());
        is_next_ = key_ == path_[depth_ - 1];
        if (!is_next_ && is_lenient_match(key_, {path_[depth_ - 1]})) is_clear_ = false;
    }
    void scalar(ValueKind kind, const char*, const char*, const StringToken& token) {
        const bool is_text = depth_ == path_.size() && kind == ValueKind::string;
        if (is_next_ && is_text) append_decoded(found_, token.raw());
        if (is_next_ && !is_text && kind != ValueKind::null) is_clear_ = false;
        is_next_ = false;
    }
    void close(bool, const char*) {
        --depth_;
        if (matched_ > depth_) matched_ = depth_;
        is_next_ = false;
    }

    bool is_clear() const { return is_clear_; }

  private:
    std::span<const std::string_view> path_;
    std::string& found_;
    bool is_clear_ = true;
    std::string key_;
    size_t depth_ = 0;
    size_t matched_ = 0;    // containers from the root inwards that are on the path
    bool is_next_ = false;  // the value that comes is on the path
};

class CallReader {
  public:
    CallReader(const std::vector<PathStep>& path, const std::function<bool(const Call&)>& each) : path_(path), each_(each) {}

    void open(bool object, const char* at) {
        const bool on_path = begin_value();
        if (on_path && depth_ == path_.size()) fail();  // a container where the name should be
        // What holds the name is an object.
        if (on_path && depth_ + 1 == path_.size() && !object) fail();
        if (is_arguments_) {
            if (!object) fail();
            arguments_begin_ = at;
            arguments_depth_ = depth_;
        }
        if (on_path && depth_ + 1 == path_.size()) begin_call();
        levels_[depth_++] = {object, on_path, 0};
        on_path_ = is_arguments_ = false;
    }
    void key(const StringToken& token) {
        const Level& level = levels_[depth_ - 1];
        on_path_ = is_arguments_ = false;
        if (!level.on_path || depth_ > path_.size()) return;
        key_.clear();
        append_decoded(key_, token.raw());
        const PathStep& step = path_[depth_ - 1];
        on_path_ = step.any || key_ == step.name;
        if (!on_path_ && !step.any && is_lenient_match(key_, {step.name})) fail();
        if (depth_ != path_.size() || on_path_) return;
        is_arguments_ = key_ == kArguments;
        if (!is_arguments_ && is_lenient_match(key_, {kArguments})) fail();
    }
    void scalar(ValueKind kind, const char*, const char*, const StringToken& token) {
        const bool on_path = begin_value();
        if (on_path && (depth_ != path_.size() || kind != ValueKind::string)) fail();
        if (is_arguments_) fail();
        if (on_path && depth_ == path_.size() && kind == ValueKind::string) {
            append_decoded(name_, token.raw());
            has_name_ = true;
        }
        on_path_ = is_arguments_ = false;
    }
    void close(bool, const char* end) {
        const Level& level = levels_[--depth_];
        if (arguments_begin_ != nullptr && depth_ == arguments_depth_) {
            arguments_ = {arguments_begin_, static_cast<size_t>(end - arguments_begin_)};
            arguments_begin_ = nullptr;
        }
        if (level.on_path && depth_ + 1 == path_.size()) end_call();
        on_path_ = is_arguments_ = false;
    }
    bool ok() const { return ok_ && calls_ > 0; }

  private:
    struct Level {
        bool object, on_path;
        size_t next;  // element
    };

    // Whether the value that begins is on the path: of a member its key has told.
    bool begin_value() {
        if (depth_ == 0) return true;
        Level& level = levels_[depth_ - 1];
        if (level.object) return on_path_;
        const size_t index = level.next++;
        if (!level.on_path || depth_ > path_.size()) return false;
        const PathStep& step = path_[depth_ - 1];
        return step.any || step.name == std::to_string(index);
    }
    void begin_call() {
        name_.clear();
        arguments_ = {};
        has_name_ = false;
    }
    void end_call() {
        if (!has_name_ || ++calls_ > kBatchMessagesMax) return fail();
        if (ok_ && goes_on_) goes_on_ = each_({name_, arguments_});
    }
    void fail() { ok_ = false; }

    const std::vector<PathStep>& path_;
    const std::function<bool(const Call&)>& each_;
    std::string key_, name_;
    std::string_view arguments_;
    const char* arguments_begin_ = nullptr;
    size_t arguments_depth_ = 0;
    std::array<Level, kJsonDepthMax> levels_;
    size_t depth_ = 0, calls_ = 0;
    bool on_path_ = false, is_arguments_ = false, has_name_ = false, ok_ = true, goes_on_ = true;
};

}  // namespace

FoundText text_at(std::string_view params, std::span<const std::string_view> path, std::string& scratch) {
    scratch.clear();
    TextFinder finder(path, scratch);
    if (!params.empty()) visit(params, finder);
    return {scratch, finder.is_clear()};
}

bool read_calls(std::string_view params, const std::vector<PathStep>& name, const std::function<bool(const Call&)>& each) {
    if (params.empty()) return false;
    CallReader reader(name, each);
    return visit(params, reader) && reader.ok();
}

}  // namespace callgate
