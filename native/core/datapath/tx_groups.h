// Which datagrams leave together: descriptors to send, grouped by destination and size, and laid out as the
// messages of one send call. Pure: it calls nobody.
//
//   descriptors  a0 b0 a1 c0 b1 a2      (destinations a, b, c)
//   messages     [a0 a1 a2] [b0 b1] [c0]   a joined message is one UDP_SEGMENT super-datagram
//
// Each destination's datagrams keep their order; GSO wants segments of one size, of which only the last may
// be shorter.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/base/zeroed.h"
#include "core/control/control.h"
#include "core/datapath/gso_policy.h"
#include "core/socket/socket_name.h"
#include "engine/engine.h"

namespace ksocket {

// Holds arrays of about 100 KiB, of which a few datagrams touch little.
class TxGroups {
 public:
  // Descriptors at a time.
  static constexpr uint32_t kChunk = 512;
  static constexpr uint16_t kNone = UINT16_MAX;

  // One message: a list of descriptors, linked through next().
  struct Group {
    Address to;
    uint32_t bytes;
    uint16_t first, last;  // places in the chunk
    uint16_t segment_size;
    uint16_t segments;
    bool open;  // takes more
  };

  TxGroups() : scratch_(1) {}

  // Groups at most kChunk datagrams, whose payloads are at `base + offset`, and lays out their messages; all
  // of it is valid until the next call. `family`: of the socket. Returns how many groups there are.
  uint32_t form(const GsoPolicy& gso, uint8_t family, const uint8_t* base, std::span<const Descriptor> chunk,
                std::span<const Source> sources = {});

  const Group& operator[](uint32_t group) const { return scratch_[0].groups[group]; }
  // The place of the next datagram of the same group, or kNone.
  uint16_t next(uint16_t place) const { return scratch_[0].next[place]; }
  // The messages of the groups from `first` to before `end`.
  std::span<Message> messages(uint32_t first, uint32_t end) {
    return {scratch_[0].messages + first, end - first};
  }

 private:
  // Destination → its latest group in this chunk. Valid where the stamp is the current one.
  struct Slot {
    uint32_t stamp;
    uint16_t group;
  };
  static constexpr uint32_t kSlots = 2 * kChunk;

  struct Scratch {
    Group groups[kChunk];
    uint16_t next[kChunk];
    Message messages[kChunk];
    SockAddr names[kChunk];
    iovec iovs[kChunk];
    alignas(cmsghdr) uint8_t controls[kChunk][kTxControlBytes];
    Slot slots[kSlots];
    uint32_t stamp;
  };

  uint32_t group(const GsoPolicy& gso, std::span<const Descriptor> chunk);
  void new_stamp();
  Slot* slot_of(const Address& to);
  void lay_out(uint8_t family, const uint8_t* base, std::span<const Descriptor> chunk,
               std::span<const Source> sources, uint32_t groups);
  SocketName& local_name(uint32_t group);
  uint32_t gather(const Group& group, const uint8_t* base, std::span<const Descriptor> chunk, iovec* iovs);

  Zeroed<Scratch> scratch_;
  std::unique_ptr<SocketName[]> local_names_;  // of the groups, once there is one
};

}  // namespace ksocket
