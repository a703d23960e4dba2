// What the kernel would not take from one socket yet, in order, with copies of the payloads: in blocks, of
// which each leaves with one call where there is room for it.
#pragma once

#include <cstdint>
#include <list>
#include <span>
#include <vector>

#include "core/datapath/tx_flush.h"
#include "core/memory/counters.h"
#include "core/memory/layout.h"
#include "engine/engine.h"

namespace ksocket {

// More than this waiting in one socket is refused with ENOBUFS.
inline constexpr size_t kBacklogBytesMax = 64u << 20;

class Backlog {
 public:
  bool empty() const { return waiting_.empty(); }
  size_t datagrams() const { return datagrams_; }
  // Of payloads, and a descriptor each: empty datagrams have a limit, too.
  size_t bytes() const { return bytes_; }
  size_t payload_bytes() const;

  // Copies those whose result is kResultDeferred, as far as there is room; the others' result is -ENOBUFS.
  // How many wait now of these.
  uint32_t keep(const uint8_t* base, std::span<Descriptor> descriptors, std::span<const Source> sources,
                const Counters& counters, size_t bytes_max = kBacklogBytesMax);

  enum class Outcome {
    empty,    // nothing waits any more
    blocked,  // some has left, or will when the socket is writable again
    stuck,    // nothing has left, though the socket was writable
  };
  // Sends until the kernel refuses again; once the socket is writable. Records for JavaScript (results that
  // somebody asked for, and `drained`) are appended to `completions`.
  Outcome work_off(Engine& engine, TxFlush& flush, TxSocket& socket, uint32_t socket_id,
                   std::vector<Descriptor>* completions);

  // Asks for a `drained` record once nothing waits. False when nothing does: there will be none.
  bool notify_drained() { return tell_drained_ = !waiting_.empty(); }
  // The same where nothing does, once the socket is writable: the caller has it watched for that.
  void notify_writable() { tell_drained_ = true; }

  // Drops everything. How many datagrams that were.
  size_t clear();

 private:
  // As it was kept, or what is still to be sent of it.
  struct Kept {
    uint32_t datagrams;
    uint32_t bytes;
  };
  struct Block {
    std::vector<Descriptor> descriptors;  // offsets are into `payload`, sources places in `sources`
    std::vector<Kept> kept;               // of each
    std::vector<Source> sources;
    std::vector<uint8_t> payload;
  };
  static constexpr size_t kBlockDescriptors = 64;
  static constexpr size_t kBlockBytes = 256 * 1024;

  Block& block_for(std::span<const Descriptor> coming);
  bool settle(Block& block, uint32_t socket_id, std::vector<Descriptor>* completions);
  void settle(const Descriptor& done, const Kept& kept, uint32_t socket_id,
              std::vector<Descriptor>* completions);

  std::list<Block> waiting_;  // costs an idle socket nothing, as a deque would
  size_t datagrams_ = 0;      // of what is joined each
  size_t bytes_ = 0;
  bool tell_drained_ = false;
};

}  // namespace ksocket
