// Bytes: a growing run of bytes that can be read into directly and given away.
//
// What std::string lacks for long messages: room() lends memory that is not zeroed first, growing a large one moves
// pages and not bytes (realloc(3), mremap(2)), and adopting costs nothing. Holds no memory while empty() and released.
//
//   std::span<char> room = bytes.room(65536);  ssize_t got = read(fd, room.data(), room.size());  bytes.commit(got);
#pragma once
#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <new>
#include <span>
#include <string_view>
#include <utility>

namespace callgate {

class Bytes {
  public:
    Bytes() = default;
    explicit Bytes(std::string_view bytes) { append(bytes); }
    Bytes(Bytes&& other) noexcept { swap(other); }
    Bytes& operator=(Bytes&& other) noexcept {
        Bytes(std::move(other)).swap(*this);
        return *this;
    }
    Bytes(const Bytes&) = delete;
    Bytes& operator=(const Bytes&) = delete;
    ~Bytes() { free(data_); }

    std::string_view view() const { return {data_, size_}; }
    size_t size() const { return size_; }
    size_t capacity() const { return capacity_; }
    bool empty() const { return size_ == 0; }

    void reserve(size_t capacity) {
        if (capacity <= capacity_) return;
        char* grown = static_cast<char*>(realloc(data_, capacity));
        if (!grown) throw std::bad_alloc();
        data_ = grown;
        capacity_ = capacity;
    }
    void append(std::string_view bytes) {
        if (bytes.empty()) return;
        if (bytes.size() > capacity_ - size_) reserve(std::max(size_ + bytes.size(), 2 * capacity_));
        memcpy(data_ + size_, bytes.data(), bytes.size());
        size_ += bytes.size();
    }
    // Memory after what is here, at least `least` bytes of it; valid until the next call that may grow or free.
    std::span<char> room(size_t least) {
        if (least > capacity_ - size_) reserve(std::max(size_ + least, 2 * capacity_));
        return {data_ + size_, capacity_ - size_};
    }
    void commit(size_t bytes) {
        assert(bytes <= capacity_ - size_);
        size_ += bytes;
    }
    void truncate(size_t size) {
        assert(size <= size_);
        size_ = size;
    }
    void erase_front(size_t bytes) {
        assert(bytes <= size_);
        memmove(data_, data_ + bytes, size_ - bytes);
        size_ -= bytes;
    }
    void clear() { size_ = 0; }
    void release() { Bytes().swap(*this); }
    void swap(Bytes& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
    }

  private:
    char* data_ = nullptr;
    size_t size_ = 0, capacity_ = 0;
};

}  // namespace callgate
