#include "engine.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "core/sharing/fresh_sockets.h"
#include "engine/choose.h"
#include "engine/features.h"
#include "fiber.h"
#include "stepped_ref.h"

namespace ksocket {

namespace stepping {

namespace {

SteppedEngine* present = nullptr;
bool may_share = false;

}  // namespace

SteppedEngine* engine() {
  return present;
}

void set_exclusive(bool exclusive) {
  may_share = exclusive;
}

Traits SteppedEngine::traits() const {
  return {.offloads = true, .exclusive = may_share, .gso_segments_max = kGsoSegmentsMax};
}

SteppedEngine::SteppedEngine() {
  present = this;
  on_send([this](const test::Outgoing& message) { return decide(message); });
}

SteppedEngine::~SteppedEngine() {
  if (present == this) present = nullptr;
}

void SteppedEngine::set_full(int fd, bool full) {
  full_[fd] = full;
  set_writable(fd, !full);
}

void SteppedEngine::refuse(int fd, int passes, int error) {
  std::deque<int>& decisions = refusals_[fd];
  decisions.insert(decisions.end(), static_cast<size_t>(passes), 0);
  decisions.push_back(error);
}

void SteppedEngine::forget(int fd) {
  full_.erase(fd);
  refusals_.erase(fd);
  FakeEngine::forget(fd);
}

int SteppedEngine::decide(const test::Outgoing& message) {
  if (full_[message.fd]) return EAGAIN;
  std::deque<int>& decisions = refusals_[message.fd];
  if (decisions.empty()) return 0;
  int decision = decisions.front();
  decisions.pop_front();
  return decision;
}

int SteppedEngine::watch(int fd, uint64_t token, uint32_t interest) {
  point();
  return FakeEngine::watch(fd, token, interest);
}

int SteppedEngine::change(int fd, uint64_t token, uint32_t interest) {
  point();
  return FakeEngine::change(fd, token, interest);
}

int SteppedEngine::wait(std::span<Event> events, int timeout_ms) {
  point();
  uint64_t until_ns = timeout_ms < 0 ? UINT64_MAX : now_ns() + static_cast<uint64_t>(timeout_ms) * 1'000'000;
  for (;;) {
    int count = FakeEngine::wait(events.first(events.size() - 1), 0);
    if (now_ns() >= timer_ns_) {
      timer_ns_ = UINT64_MAX;
      events[static_cast<size_t>(count++)] = {kFreshTimerToken, true, false};
    }
    if (count != 0 || woken_ || now_ns() >= until_ns) {
      woken_ = false;
      return count;
    }
    block(std::min(until_ns, timer_ns_));
  }
}

int SteppedEngine::receive(int fd, std::span<Message> messages) {
  point();
  return FakeEngine::receive(fd, messages);
}

int SteppedEngine::send(int fd, std::span<Message> messages) {
  point();
  return FakeEngine::send(fd, messages);
}

}  // namespace stepping

// In place of engine/: there is this one engine.

std::vector<const char*> engine_names() {
  return {"stepping"};
}

std::vector<const char*> engine_needs() {
  return {"nothing"};
}

ChosenEngine choose_engine(std::string_view) {
  return {std::make_unique<stepping::SteppedEngine>(), 0};
}

const char* engine_name_for(std::string_view) {
  return "stepping";
}

Features probe_features() {
  return {};
}

}  // namespace ksocket
