// One socket's books: each datagram that the kernel hands out has to be in the ring, once and in order, or in
// a counter; each that is to be sent has to be taken by the kernel once, in order, or its result says why
// not.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <unordered_set>

#include "core/memory/layout.h"
#include "simulate/kernel.h"

namespace ksocket::simulate {

// Whose datagrams a server's rules pass on, or drop.
inline constexpr uint64_t kForwardedHost = 0;

class Ledger final : public SocketObserver {
 public:
  // `keep_bytes_max`: longer datagrams are cut.
  Ledger(World& world, uint32_t id, uint32_t keep_bytes_max)
      : world_(world), id_(id), keep_bytes_max_(keep_bytes_max) {}

  // ---- the kernel's side

  void handed_out(const Datagram& datagram) override;
  void taken(const Address& to, std::span<const uint8_t> payload) override;

  // ---- the ring's

  // The next record of a datagram. Returns the number of its first one, or none where it is wrong.
  std::optional<uint64_t> published(const Descriptor& record, std::span<const uint8_t> payload);
  // Does the record still have what it had?
  static bool is_intact(uint64_t number, const Descriptor& record, std::span<const uint8_t> payload);
  // A result that came by the ring.
  void reported(uint64_t number, int32_t result);

  // ---- the program's

  struct Given {
    uint64_t number;
    uint32_t length;
    bool asks;  // wants the result, if it comes later
  };
  // It has given these to send, and this is what came of it.
  void settle(std::span<const Given> given, std::span<const Descriptor> descriptors);

  // The socket is closed: what waited is not sent.
  void close();
  // Nothing is under way any more; so many sends have failed by the socket's counters.
  void check_all_reported(uint64_t failures);

  uint64_t handed = 0, seen = 0;     // datagrams
  uint64_t submitted = 0, took = 0;  // datagrams
  uint32_t drops_told = 0;           // by a datagram that was handed out
  size_t waiting() const { return waiting_.size(); }
  bool answers = false;  // what the kernel takes are echoes

 private:
  struct Segment {
    uint64_t number;
    uint32_t length;
    uint8_t ttl;
  };
  void wrong(const std::string& what);
  bool fits(const Segment& segment, const Descriptor& record, std::span<const uint8_t> payload) const;

  World& world_;
  const uint32_t id_;
  const uint32_t keep_bytes_max_;
  std::deque<Segment> handed_;               // not seen in the ring yet
  std::map<uint64_t, uint64_t> last_taken_;  // by peer
  std::unordered_set<uint64_t> taken_;       // and no result has said so yet
  std::unordered_set<uint64_t> waiting_;     // deferred, a result will come
  std::unordered_set<uint64_t> silent_;      // deferred, nobody asked
  std::unordered_set<uint64_t> empty_;       // of those that wait: the kernel does not say which it takes
  std::unordered_set<uint64_t> answered_;    // of the forwarded host
  uint64_t failed_ = 0;                      // whose results say so
  uint64_t silent_empty_ = 0;                // as silent_, and nobody knows which were taken
  bool closed_ = false;
};

}  // namespace ksocket::simulate
