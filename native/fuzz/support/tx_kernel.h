// A kernel that is given datagrams to send: takes or refuses them as the fuzzer says, and looks whether each
// one leaves once, in order, and what is joined keeps to the limits of UDP_SEGMENT.
#pragma once

#include <vector>

#include "core/datapath/tx_flush.h"
#include "fuzz/support/fuzz.h"
#include "fuzz/support/sink.h"
#include "fuzz/support/world.h"

namespace ksocket::fuzz {

// Nobody looks at payloads: datagrams are told by where these would be.
inline uint8_t* const kPayloads = reinterpret_cast<uint8_t*>(uintptr_t{1} << 40);

// As it was staged, and what has become of it. No two begin at the same offset.
struct Staged {
  uint32_t to;  // a number; see destination()
  uint32_t offset, length;
  uint16_t segment_size;
  uint32_t taken = 0;         // segments
  uint32_t next_segment = 0;  // none before it may leave
  int error = 0;              // the latest that was said of it

  uint32_t segments() const { return segments_of(length, segment_size); }
};

inline constexpr uint32_t kDestinations = 10, kHosts = 7;
// 0: none, as on a connected socket.
Address destination(uint32_t number);

class TxKernel : public Sink {
 public:
  TxKernel(Random& in, const World& world, std::vector<Staged>& staged, const TxSocket& socket)
      : in_(in), world_(world), staged_(staged), socket_(socket) {
    if (in.one_in(2)) says_ = segments_max_ = kGsoSegmentsMax;
    joins_ = in.one_in(4) ? kGsoSegmentsMin : says_;
  }

  Traits traits() const override { return {.offloads = true, .gso_segments_max = says_}; }
  int send(int fd, std::span<Message> messages) override;
  void end_of_flush() { fallback_ = {}; }

  uint64_t calls = 0, datagrams = 0, bytes = 0, joined = 0, joined_segments = 0;

 private:
  // A message, by the datagrams it is made of.
  struct Sent {
    std::vector<size_t> places;  // in staged_, of each segment
    uint32_t first_segment;      // which one of its datagram
    uint32_t bytes;
    uint16_t segment_size;  // 0: none was said

    bool is_joined() const { return places.size() > 1; }
    bool was_joined() const { return places.front() == places.back(); }
  };
  // A super-datagram that was refused.
  struct Fallback {
    int error = 0;
    uint16_t segment_size = 0;
    std::vector<size_t> places;
  };
  struct Limit {
    uint32_t bytes_max = UINT16_MAX;
    uint64_t until_ns = 0;
  };

  int refusal();
  void read(const msghdr& header);
  void walk(const iovec& piece);
  void check(const msghdr& header) const;
  void take();
  void refuse(int error);
  size_t find(const void* payload) const;

  Random& in_;
  const World& world_;
  std::vector<Staged>& staged_;
  const TxSocket& socket_;
  // What it says that a message may join, what it takes, and what the socket can know of it.
  uint32_t says_ = kGsoSegmentsMin, joins_, segments_max_ = kGsoSegmentsMin;
  Sent sent_;  // at hand
  size_t latest_[kDestinations] = {};
  Fallback fallback_;
  Limit limits_[kHosts];
};

}  // namespace ksocket::fuzz
