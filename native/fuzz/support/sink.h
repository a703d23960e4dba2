// An engine that only sends: what becomes of each message is up to the fuzzer.
#pragma once

#include <cstdlib>

#include "engine/engine.h"

namespace ksocket::fuzz {

class Sink : public Engine {
 public:
  const char* name() const override { return "sink"; }
  Traits traits() const override { return {.offloads = true}; }
  int watch(int, uint64_t, uint32_t) override { std::abort(); }
  int change(int, uint64_t, uint32_t) override { std::abort(); }
  void unwatch(int) override { std::abort(); }
  int wait(std::span<Event>, int) override { std::abort(); }
  void wake() override { std::abort(); }
  int receive(int, std::span<Message>) override { std::abort(); }
};

}  // namespace ksocket::fuzz
