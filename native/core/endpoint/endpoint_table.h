// The endpoints of a thread, by id. From any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/endpoint/endpoint.h"
#include "core/memory/layout.h"

namespace ksocket {

class EndpointTable {
 public:
  // Its slot is its id's low bits; the slot must be free.
  void add(std::shared_ptr<Endpoint> endpoint) {
    uint32_t slot = endpoint->id & kSocketSlotMask;
    std::lock_guard lock(mutex_);
    if (slot >= slots_.size()) slots_.resize(slot + 1);
    slots_[slot] = std::move(endpoint);
  }

  // Null when there is none (any more) with this id.
  std::shared_ptr<Endpoint> find(uint32_t id) {
    uint32_t slot = id & kSocketSlotMask;
    std::lock_guard lock(mutex_);
    if (slot >= slots_.size() || !slots_[slot] || slots_[slot]->id != id) return nullptr;
    return slots_[slot];
  }

  void remove(uint32_t id) {
    std::lock_guard lock(mutex_);
    slots_[id & kSocketSlotMask].reset();
  }

  // Their descriptors close as the last owners let go.
  void clear() {
    std::vector<std::shared_ptr<Endpoint>> all;
    std::lock_guard lock(mutex_);
    all.swap(slots_);
  }

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<Endpoint>> slots_;  // guarded by mutex_
};

}  // namespace ksocket
