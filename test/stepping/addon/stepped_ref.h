// std::atomic_ref, each access a step of its own.
#pragma once

#include <atomic>

namespace ksocket::stepping {

// Between two steps. The I/O thread, which is a fiber here, stands still until it is resumed; on JavaScript's
// own stack nothing happens.
void point();

template <typename T>
class SteppedRef {
 public:
  explicit SteppedRef(T& word) : word_(word) {}
  T load(std::memory_order order) const {
    point();
    return word_.load(order);
  }
  void store(T value, std::memory_order order) const {
    point();
    word_.store(value, order);
  }
  T exchange(T value, std::memory_order order) const {
    point();
    return word_.exchange(value, order);
  }

 private:
  std::atomic_ref<T> word_;
};

}  // namespace ksocket::stepping
