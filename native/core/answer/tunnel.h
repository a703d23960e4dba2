// The wire between a TAP device and remotes that frames go to in datagrams: each in one of its own, behind
// VXLAN's header (RFC 7348) or bare.
//
//   device ──read──▶ up to 64 KiB ──Segmentation──▶ frames ──UDP_SEGMENT──▶ remotes
//   device ◀──write── up to 64 KiB ◀──Joiner── frames ◀──UDP_GRO── remotes
//
// With several remotes it is a switch: where an address was heard of, there its frames go, others to all.
// What comes from one remote goes to the device alone, never to another remote: they reach each other
// themselves.
//
// Where the socket takes no more, the device is not read, and its queue fills.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/answer/departures.h"
#include "core/answer/responder.h"
#include "core/memory/tunnel_counters.h"
#include "core/socket/tap.h"
#include "core/tunnel/forwarding_table.h"
#include "core/tunnel/joiner.h"
#include "core/tunnel/segmentation.h"
#include "core/tunnel/vxlan.h"

namespace ksocket {

class Tunnel : public Responder {
 public:
  struct Options {
    TapOptions device;  // made again, if it is gone
    bool vxlan = true;  // else frames are bare
    uint32_t vni = 0;
    std::vector<Address> remotes;                                      // at least one
    std::vector<std::pair<ForwardingTable::Mac, uint32_t>> addresses;  // that are known, and of which remote
    uint32_t addresses_max = 4096;                                     // that are learned
    uint64_t age_ns = 300'000'000'000;
    bool clamp_mss = false;  // of TCP, to what fits the device
    // What the path's MTU has more than the device's, which follows it; 0: it stays.
    uint32_t path_overhead_bytes = 0;
    bool flood = true;  // frames to an address that nobody knows; those to groups always are
  };

  // What is done for it.
  struct Host {
    // Watches a descriptor as the responder's, with this key; 0 or -errno.
    std::function<int(int fd, uint32_t key, uint32_t interest)> watch;
    std::function<void(int fd)> unwatch;
  };

  // `fd`: the socket's, of this family; it is copied.
  Tunnel(Options options, Tap tap, int fd, uint8_t family, Host host, bool offloads, TunnelCounters cells,
         Counters counters);
  ~Tunnel() override;

  // Before start(): frames leave by this socket, and not by the one that they come in by.
  void send_by(Fd sender);
  // The device is read from now on. 0 or -errno.
  int start();

  // From any thread.
  const TunnelCounters& counters() const { return counters_; }
  // Under the endpoint's rx_mutex. None while it is gone.
  const Tap* device() const { return tap_.fd ? &tap_ : nullptr; }

  std::span<const Incoming> answer(const ResponderTools& tools, const uint8_t* base,
                                   std::span<const Incoming> batch) override;
  void ready(const ResponderTools& tools, uint32_t key) override;
  bool wants_ticks() const override { return true; }
  void tick() override;
  Tunnel* tunnel() override { return this; }

 private:
  enum Keys : uint32_t { kDevice, kSocket };
  // Of the device at a time; so much stays in a core's cache until it leaves.
  static constexpr uint32_t kReadsMax = 64;
  static constexpr uint32_t kGatherBytes = 256 * 1024;
  // One frame has room then that is divided into the shortest.
  static constexpr uint32_t kOutBytes = kGatherBytes + 768 * 1024;
  static constexpr uint32_t kReadBytes = sizeof(VnetHeader) + 65536 + kEthernetBytes + 2 * kVlanTagBytes;

  struct AddressHash {
    uint64_t seed;
    size_t operator()(const Address& address) const { return seeded_hash(seed, address); }
  };

  void read_device(const ResponderTools& tools);
  void send(const ResponderTools& tools, const VnetHeader& header, std::span<uint8_t> frame);
  void flush(const ResponderTools& tools);
  void wait_for_room();
  void go_on(const ResponderTools& tools);
  void count_sent(const Departures::Left& left);
  void drop_waiting();

  uint32_t remote_of(const Address& from);
  // `bytes`: of the longest frame that it becomes.
  bool takes(std::span<const uint8_t> frame, size_t bytes, uint32_t remote, uint64_t now_ns);
  bool receive_joined_inside(std::span<const uint8_t> datagram, uint16_t segment_size, uint32_t remote,
                             uint64_t now_ns);
  void receive(std::span<const uint8_t> datagram, uint32_t remote, uint64_t now_ns);
  void write_device();

  void tell_device();
  int watch_device() { return host_.watch(tap_.fd.get(), kDevice, kReadable); }
  void lose_device();
  void follow_path();
  bool learn_path();

  Options options_;  // the device's MTU follows the path
  const Host host_;
  const uint32_t prefix_bytes_;
  uint8_t prefix_[kVxlanBytes];
  Tap tap_;
  Fd sender_;  // if it is another one than the endpoint's
  Fd socket_;  // watched apart from the endpoint's, while nothing can be sent
  TxSocket tx_;
  Departures leaving_;  // payloads in out_
  TunnelCounters counters_;
  ForwardingTable table_;
  std::unordered_map<Address, uint32_t, AddressHash> remotes_;
  Address latest_from_;
  uint32_t latest_remote_ = ForwardingTable::kUnknown;
  Joiner joiner_;
  const uint8_t family_;
  uint32_t path_mtu_ = 0;           // as the device follows it
  bool path_is_too_short_ = false;  // the kernel has refused a datagram

  std::unique_ptr<uint8_t[]> read_;  // left uninitialised, as is the next one
  std::unique_ptr<uint8_t[]> out_;
  uint32_t out_bytes_ = 0;
  bool waits_ = false;  // for room in the socket
};

}  // namespace ksocket
