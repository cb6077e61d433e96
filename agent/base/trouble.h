// Trouble: what goes wrong for a while, as a full disk does: told once when it begins and once when it is over.
//
//   trouble.watch(tell);  trouble.begin("write /x: ENOSPC");  ->  tell("write /x: ENOSPC")
//   trouble.begin("write /x: ENOSPC");                        ->  nothing: it goes on
//   trouble.end();                                            ->  tell("")
//
// Any thread; `tell` is called on that of begin() and end(), which come from one thread at a time.
#pragma once
#include <functional>
#include <mutex>
#include <string>
#include <utility>

namespace callgate {

class Trouble {
  public:
    // Replaces who is told; what goes on already is told at once.
    void watch(std::function<void(const std::string& text)> tell) {
        std::lock_guard lock(mutex_);
        tell_ = std::move(tell);
        if (!text_.empty()) tell_(text_);
    }
    // `text` is not empty. Another one while it goes on replaces it, and is told nobody.
    void begin(std::string text) {
        std::lock_guard lock(mutex_);
        const bool is_news = text_.empty();
        text_ = std::move(text);
        if (is_news && tell_) tell_(text_);
    }
    void end() {
        std::lock_guard lock(mutex_);
        if (text_.empty()) return;
        text_.clear();
        if (tell_) tell_(text_);
    }
    // "" where there is none.
    std::string text() const {
        std::lock_guard lock(mutex_);
        return text_;
    }

  private:
    mutable std::mutex mutex_;
    std::string text_;
    std::function<void(const std::string&)> tell_;
};

}  // namespace callgate
