// Outbox: bytes on their way to one reader: text that is appended piece by piece, and long frames that are handed over
// whole instead of being copied.
//
//   outbox.append("{…}\n");  outbox.adopt(std::move(frame));  ->  what is written is the one, then the other
#pragma once
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace callgate {

class Outbox {
  public:
    // What is appended here comes after everything that is in already. The reference lives as long as the outbox.
    std::string& text() { return text_; }
    void append(std::string_view bytes) { text_.append(bytes); }
    // Takes the frame over if that keeps the order, else copies it.
    void adopt(Bytes frame) {
        if (empty()) {
            frame_ = std::move(frame);
        } else {
            append(frame.view());
        }
    }
    // The two parts in the order in which they are to be written.
    std::string_view first() const { return frame_.view(); }
    std::string_view second() const { return text_; }

    size_t size() const { return frame_.size() + text_.size(); }
    bool empty() const { return size() == 0; }
    void swap(Outbox& other) {
        frame_.swap(other.frame_);
        text_.swap(other.text_);
    }
    // Empties it; memory of more than a few bytes is given back.
    void clear() {
        frame_.release();
        text_.clear();
        if (text_.capacity() > kCapacityKept) std::string().swap(text_);
    }

  private:
    static constexpr size_t kCapacityKept = 4096;
    Bytes frame_;
    std::string text_;
};

}  // namespace callgate
