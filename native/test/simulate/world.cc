#include "simulate/world.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "simulate/kernel.h"

namespace ksocket::simulate {

World* World::current_ = nullptr;

World::World(Decisions& decisions) : decisions(decisions) {
  current_ = this;
}

World::~World() {
  current_ = nullptr;
}

void World::fail(const std::string& what) {
  trace("WRONG: %s", what.c_str());
  if (failure_.empty()) failure_ = what;
}

void World::trace(const char* format, ...) const {
  if (!traces) return;
  std::printf("%12.3f ms %s ", static_cast<double>(now_ns_ - kBeginNs) / 1e6,
              on_io_ ? "    io:" : "program:");
  va_list values;
  va_start(values, format);
  std::vprintf(format, values);
  va_end(values);
  std::putchar('\n');
}

void World::pass(uint64_t ns) {
  now_ns_ += ns;
  if (kernel != nullptr && now_ns_ >= kernel->due_ns()) kernel->on_time();
}

void World::start_io(void* (*entry)(void*), void* argument) {
  static std::unique_ptr<char[]> stack(new char[kStackBytes]);
  entry_ = entry;
  argument_ = argument;
  getcontext(&thread_);
  thread_.uc_stack.ss_sp = stack.get();
  thread_.uc_stack.ss_size = kStackBytes;
  thread_.uc_link = nullptr;
  makecontext(&thread_, &World::io_main, 0);
  io_ = Io::ready;
}

void World::io_main() {
  World& world = *current_;
  world.entry_(world.argument_);
  world.io_ = Io::ended;
  world.to_program();
}

void World::join_io() {
  while (io_ != Io::ended && io_ != Io::none) {
    if (run_io_in_time()) continue;
    std::fprintf(stderr, "the I/O thread waits for ever, and somebody for it\n");
    std::abort();
  }
}

bool World::io_can_run() const {
  if (io_ == Io::ready) return true;
  if (io_ == Io::waiting) return woken_ || now_ns_ >= until_ns_;
  return io_ == Io::sleeping && now_ns_ >= until_ns_;
}

void World::run_io() {
  if (io_can_run()) to_io();
}

bool World::run_io_in_time() {
  if (!io_can_run()) {
    if ((io_ != Io::waiting && io_ != Io::sleeping) || until_ns_ == UINT64_MAX) return false;
    pass(until_ns_ - now_ns_);
  }
  to_io();
  return true;
}

void World::may_switch() {
  if (switching_.happens(decisions)) change_places();
}

void World::may_switch(uint32_t n) {
  if (decisions.once_in(n)) change_places();
}

void World::change_places() {
  if (on_io_) {
    to_program();
  } else if (io_can_run()) {
    to_io();
  }
}

void World::give_way() {
  trace("waits for a lock");
  if (on_io_) {
    to_program();
  } else if (!run_io_in_time()) {
    std::fprintf(stderr, "a lock is never released\n");
    std::abort();
  }
}

void World::wait_io(uint64_t until_ns) {
  until_ns_ = until_ns;
  io_ = Io::waiting;
  woken_ = false;
  to_program();
  io_ = Io::ready;
  until_ns_ = UINT64_MAX;
}

void World::sleep(uint64_t ns) {
  if (!on_io_) return pass(ns);
  until_ns_ = now_ns_ + ns;
  io_ = Io::sleeping;
  to_program();
  io_ = Io::ready;
  until_ns_ = UINT64_MAX;
}

void World::to_io() {
  if (++switches_ > kSwitchesMax) {
    std::fprintf(stderr, "the threads go on and on\n");
    std::abort();
  }
  on_io_ = true;
  swapcontext(&program_, &thread_);
}

void World::to_program() {
  on_io_ = false;
  swapcontext(&thread_, &program_);
}

}  // namespace ksocket::simulate
