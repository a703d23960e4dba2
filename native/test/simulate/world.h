// What all parts of a simulation share: decisions, the time, the two threads and the first thing that was
// wrong.
//
// The program (JavaScript's thread) and the I/O thread are coroutines of one thread, which change places only
// where the code calls the kernel, waits for a lock or sleeps (calls.cc), and only as decided. So a seed
// replays exactly.
#pragma once

#include <ucontext.h>

#include <cstdint>
#include <string>

#include "simulate/decisions.h"

namespace ksocket::simulate {

class Kernel;

class World {
 public:
  explicit World(Decisions& decisions);
  ~World();
  // The one that runs; null: calls go to the real kernel.
  [[gnu::always_inline]] static World* current() { return current_; }

  Decisions& decisions;
  Kernel* kernel = nullptr;

  // ---- what went wrong

  // Keeps the first message.
  void fail(const std::string& what);
  const std::string& failure() const { return failure_; }
  bool failed() const { return !failure_.empty(); }

  // Says what happens, where somebody wants to see it.
  bool traces = false;
  [[gnu::format(printf, 2, 3)]] void trace(const char* format, ...) const;

  // ---- the time, CLOCK_MONOTONIC

  uint64_t now_ns() const { return now_ns_; }
  uint64_t realtime_ns() const { return now_ns_ + static_cast<uint64_t>(realtime_offset_ns_); }
  void pass(uint64_t ns);
  void set_realtime_offset(int64_t ns) { realtime_offset_ns_ = ns; }

  // ---- the I/O thread

  enum class Io : uint8_t { none, ready, waiting, sleeping, ended };
  Io io() const { return io_; }
  bool on_io() const { return on_io_; }
  // pthread_create(3) and pthread_join(3).
  void start_io(void* (*entry)(void*), void* argument);
  void join_io();
  // Could it go on now?
  bool io_can_run() const;
  // Lets it go on until it gives way. From the program.
  void run_io();
  // The same, and where it waits for the time, the time passes. False when it waits for something else.
  bool run_io_in_time();
  // When it goes on by itself; UINT64_MAX: never.
  uint64_t io_until_ns() const { return until_ns_; }

  // A thread is in the kernel: the other one may go on, if it is decided so.
  void may_switch();
  // … once in `n` times.
  void may_switch(uint32_t n);
  // A thread waits for a lock of the other one.
  void give_way();
  // The I/O thread sleeps in the kernel until it is woken or until then.
  void wait_io(uint64_t until_ns);
  void wake_io() { woken_ = true; }
  void sleep(uint64_t ns);

 private:
  static constexpr size_t kStackBytes = 512 * 1024;
  static constexpr uint64_t kSwitchesMax = 1'000'000;

  void change_places();
  void to_io();
  void to_program();
  static void io_main();

  static World* current_;
  std::string failure_;
  static constexpr uint64_t kBeginNs = 1'000'000'000'000;
  uint64_t now_ns_ = kBeginNs;
  int64_t realtime_offset_ns_ = 1'700'000'000'000'000'000;

  ucontext_t program_{}, thread_{};
  void* (*entry_)(void*) = nullptr;
  void* argument_ = nullptr;
  Io io_ = Io::none;
  bool on_io_ = false;
  bool woken_ = false;
  uint64_t until_ns_ = UINT64_MAX;
  uint64_t switches_ = 0;
  NowAndThen switching_{24};
};

}  // namespace ksocket::simulate
