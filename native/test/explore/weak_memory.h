// Runs the threads of a small program one access at a time, in an order that a seed chooses, on a memory that
// is as weak as C++ allows (C++20, [intro.races] and [atomics.order]): a load may see any store that neither
// coherence, nor what happens before it, nor the order of sequentially consistent accesses hides from it; a
// store need not come last in its word's modification order. Accesses to other memory that do not happen one
// before the other are races. Left out is what hardware does not do: loads that see stores which depend on
// them.
//
//   Explorer explorer;
//   explorer.begin(seed);
//   explorer.start([&] { … Weak<uint32_t>(word).store(1, std::memory_order_release) … });
//   explorer.run();                  // until no thread can go on
//   explorer.failure()
#pragma once

#include <ucontext.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace ksocket::explore {

inline constexpr size_t kThreadsMax = 4;
inline constexpr size_t kWordsMax = 12;

// What a thread has seen: of each thread how many of its events happened before, of each word a store that
// hides the older ones.
struct View {
  std::array<uint32_t, kThreadsMax> clock{};
  std::array<uint16_t, kWordsMax> store{};
};

class Explorer {
 public:
  Explorer();
  ~Explorer();
  Explorer(const Explorer&) = delete;

  // The one that runs: what Weak and Signal go to.
  static Explorer& current() { return *current_; }

  void begin(uint64_t seed);
  void start(std::function<void()> body);
  // Until all have ended, or those that have not wait for signals, or something has failed.
  void run();
  bool ended(size_t thread) const { return fibers_[thread].ended; }

  uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }

  uint32_t load(uint32_t& word, std::memory_order order);
  void store(uint32_t& word, uint32_t value, std::memory_order order);
  uint32_t exchange(uint32_t& word, uint32_t value, std::memory_order order);

  // Memory that is no atomic: every byte's accesses have to happen one after the other.
  void note_read(const void* at, size_t bytes) { note(at, bytes, false); }
  void note_write(const void* at, size_t bytes) { note(at, bytes, true); }
  // Which memory that is, at most.
  void watch(const void* memory, size_t bytes);

  // The thread that calls it does not go on.
  [[noreturn]] void fail(const std::string& what);
  const std::string& failure() const { return failure_; }
  uint64_t accesses() const { return accesses_; }

 private:
  friend class Signal;

  struct Store {
    uint32_t value;
    uint16_t place;  // in the modification order
    bool has_rmw;    // the next in that order has read it: nothing comes between
    View released;   // what who acquires it sees
  };
  struct Word {
    uint32_t* at = nullptr;
    std::vector<Store> stores;  // as they were executed
    uint16_t sc_floor = 0;      // the latest in the modification order that an SC access has written or read
  };
  struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    std::function<void()> body;
    View view;
    bool ended = false;
    const bool* waits_for = nullptr;
  };
  struct Region {
    const uint8_t* memory;
    size_t bytes, first;
  };
  struct Byte {
    uint8_t writer = 0;
    uint32_t written = 0;
    std::array<uint32_t, kThreadsMax> read{};
  };

  static void enter();
  void switch_to(size_t next);
  void point();
  void reschedule();
  size_t word_of(uint32_t& word);
  size_t choose_store(size_t word, uint16_t oldest_place, bool for_rmw);
  uint16_t least_place(size_t word, bool sc);
  void add_store(size_t word, uint16_t place, Store store);
  void see(size_t word, size_t store, bool acquire);
  void note(const void* at, size_t bytes, bool write);
  View& view() { return fibers_[running_].view; }
  static void join(View& into, const View& other, const std::vector<Word>& words, size_t count);

  static Explorer* current_;

  std::mt19937_64 random_;
  uint32_t stay_ = 1;   // of so many accesses one is another thread's
  uint32_t stale_ = 1;  // of so many loads one does not see the latest
  std::array<Fiber, kThreadsMax> fibers_;
  size_t threads_ = 0;
  size_t running_ = 0;
  ucontext_t main_;
  std::vector<Word> words_;
  size_t word_count_ = 0;
  std::vector<Region> regions_;
  std::vector<Byte> bytes_;
  uint64_t accesses_ = 0;
  uint64_t accesses_begun_ = 0;
  std::string failure_;
};

// std::atomic_ref on that memory.
template <typename T>
class Weak {
 public:
  explicit Weak(T& word) : word_(word) {}
  T load(std::memory_order order = std::memory_order_seq_cst) const {
    return Explorer::current().load(word_, order);
  }
  void store(T value, std::memory_order order = std::memory_order_seq_cst) const {
    Explorer::current().store(word_, value, order);
  }
  T exchange(T value, std::memory_order order = std::memory_order_seq_cst) const {
    return Explorer::current().exchange(word_, value, order);
  }

 private:
  T& word_;
};

// An eventfd or a thread-safe function: a set() makes one wait() return, and what happened before it is seen.
class Signal {
 public:
  void set();
  void wait();
  // Without waiting.
  bool take();
  bool is_set() const { return set_; }

 private:
  bool set_ = false;
  View released_;
};

}  // namespace ksocket::explore
