// The simulated kernel as an engine.
#pragma once

#include "engine/engine.h"
#include "simulate/kernel.h"

namespace ksocket::simulate {

class SimEngine final : public Engine {
 public:
  explicit SimEngine(World& world, Traits traits) : world_(world), kernel_(*world.kernel), traits_(traits) {}

  const char* name() const override { return "simulated"; }
  Traits traits() const override { return traits_; }
  int watch(int fd, uint64_t token, uint32_t interest) override;
  int change(int fd, uint64_t token, uint32_t interest) override;
  void unwatch(int fd) override;
  int wait(std::span<Event> events, int timeout_ms) override;
  void wake() override;
  int receive(int fd, std::span<Message> messages) override;
  int send(int fd, std::span<Message> messages) override;

  // Sockets that it would not watch: until it is asked again nobody is told of what comes.
  uint64_t refusals = 0;

 private:
  size_t collect(std::span<Event> events);
  size_t add_doubtful(std::span<Event> events, size_t count);

  World& world_;
  Kernel& kernel_;
  const Traits traits_;
  bool woken_ = false;
};

}  // namespace ksocket::simulate
