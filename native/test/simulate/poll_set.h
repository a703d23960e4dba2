// An epoll instance, as far as it matters who is told of what: ep_poll_callback, ep_send_events.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>

namespace ksocket::simulate {

// What a descriptor is ready for, and what an entry waits for. kError comes unasked.
inline constexpr uint32_t kIn = 1, kOut = 2, kError = 4;

class PollSet {
 public:
  struct Entry {
    uint64_t data = 0;
    uint32_t mask = 0;
    bool exclusive = false;
    bool once = false;  // EPOLLONESHOT
    bool listed = false;
  };
  struct Found {
    uint64_t data;
    uint32_t ready;
  };

  bool has(int fd) const { return entries_.contains(fd); }
  const std::map<int, Entry>& entries() const { return entries_; }
  // EPOLL_CTL_ADD; `ready`: what the descriptor is ready for at this time.
  void add(int fd, Entry entry, uint32_t ready);
  void remove(int fd);

  // Something has happened to the descriptor. True when nobody behind this entry is to be told.
  bool tell(int fd, uint32_t what);

  // epoll_wait(2) without sleeping; `ready_of(fd)`: what the descriptor is ready for.
  template <typename ReadyOf, typename Each>
  size_t collect(size_t max, ReadyOf&& ready_of, Each&& each) {
    size_t count = 0;
    for (size_t left = list_.size(); left > 0 && count < max; left--) {
      int fd = list_.front();
      list_.pop_front();
      Entry& entry = entries_.at(fd);
      uint32_t ready = ready_of(fd) & (entry.mask | (entry.mask != 0 ? kError : 0u));
      entry.listed = ready != 0 && !entry.once;
      if (ready == 0) continue;
      if (entry.once) {
        entry.mask = 0;
      } else {
        list_.push_back(fd);
      }
      each(Found{entry.data, ready});
      count++;
    }
    return count;
  }
  bool any_listed() const { return !list_.empty(); }
  // Will the next epoll_wait(2) look at this descriptor?
  bool is_listed(int fd) const {
    auto entry = entries_.find(fd);
    return entry != entries_.end() && entry->second.listed;
  }

  // Somebody sleeps in epoll_wait(2); called when he is woken.
  void sleep(std::function<void()> woken) { woken_ = std::move(woken); }
  void wake_up() { woken_ = nullptr; }
  bool sleeps() const { return woken_ != nullptr; }

 private:
  void list(int fd, Entry& entry);

  std::map<int, Entry> entries_;
  std::deque<int> list_;
  std::function<void()> woken_;
};

}  // namespace ksocket::simulate
