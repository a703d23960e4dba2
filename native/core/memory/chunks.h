// Memory of JavaScript's own that large datagrams are received into, instead of the ring's arena: a 'message'
// listener's Buffer is then what the kernel has written to, and nothing is copied a second time. The record
// has its place in the arena all the same, which costs nothing while nobody writes to it: who wants the
// payload there (a batch) copies it.
//
// All of it is used on the JavaScript thread alone.
#pragma once

#include <cstdint>
#include <span>

#include "core/memory/layout.h"

namespace ksocket {

class Chunks {
 public:
  struct Free {
    uint32_t place;
    uint8_t* memory;  // kChunkBytes
  };

  // In exchange for what this place had: `socket_id` has taken its payload over, and takes more.
  void give(uint32_t place, uint8_t* memory, uint32_t socket_id) {
    chunks_[place] = {memory, 0, false};
    give_to(socket_id);
  }
  void give_to(uint32_t socket_id) { taker_ = socket_id; }

  // Those that can be received into for this socket; `consumed` is JavaScript's cursor. None if the latest
  // payload was passed, or copied, and not taken over.
  std::span<const Free> find_free(uint32_t socket_id, uint32_t wanted, uint32_t consumed) {
    uint32_t found = 0;
    if (socket_id != taker_) return {};
    for (uint32_t place = 0; place < kChunks && found < wanted; place++) {
      Chunk& chunk = chunks_[place];
      if (chunk.memory == nullptr) continue;
      if (!chunk.held) {
        free_[found++] = {place, chunk.memory};
      } else if (static_cast<int32_t>(consumed - chunk.record) > 0) {
        chunk.held = false;
        taker_ = 0;
        return {};
      }
    }
    return {free_, found};
  }

  // This record, by its number, has its payload there.
  void hold(uint32_t place, uint32_t record) {
    chunks_[place].record = record;
    chunks_[place].held = true;
  }

 private:
  struct Chunk {
    uint8_t* memory = nullptr;
    uint32_t record = 0;
    bool held = false;
  };
  Chunk chunks_[kChunks];
  Free free_[kChunks];
  uint32_t taker_ = 0;  // no socket has id 0
};

}  // namespace ksocket
