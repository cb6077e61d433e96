// LruCache: a bounded, locked memory of answers that cost system calls. When full, the entry that was not
// asked for the longest is dropped.
//
//   LruCache<std::string, int> cache(2);  cache.put("a", 1);  cache.get("a") -> 1
#pragma once
#include <cstddef>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

namespace callgate {

template <typename Key, typename Value>
class LruCache {
  public:
    explicit LruCache(size_t entries_max) : entries_max_(entries_max) {}

    std::optional<Value> get(const Key& key) {
        std::lock_guard lock(mutex_);
        auto found = index_.find(key);
        if (found == index_.end()) return std::nullopt;
        order_.splice(order_.begin(), order_, found->second);
        return found->second->second;
    }

    void put(const Key& key, Value value) {
        std::lock_guard lock(mutex_);
        auto found = index_.find(key);
        if (found != index_.end()) {
            found->second->second = std::move(value);
            order_.splice(order_.begin(), order_, found->second);
            return;
        }
        order_.emplace_front(key, std::move(value));
        index_.emplace(key, order_.begin());
        if (index_.size() > entries_max_) {
            index_.erase(order_.back().first);
            order_.pop_back();
        }
    }

    size_t size() {
        std::lock_guard lock(mutex_);
        return index_.size();
    }

  private:
    using Order = std::list<std::pair<Key, Value>>;
    const size_t entries_max_;
    std::mutex mutex_;
    Order order_;
    std::unordered_map<Key, typename Order::iterator> index_;
};

}  // namespace callgate
