// Every frame that a tunnel moved, and every one that it dropped, is in one of these.
#pragma once

#include <atomic>
#include <cstdint>

namespace ksocket {

// X(name, what it counts)
#define KSOCKET_TUNNEL_COUNTERS(X)                                                           \
  X(frames_sent, "frames of the device that left, of each that went to several remotes one") \
  X(bytes_sent, "their bytes, without the tunnel's own headers")                             \
  X(frames_received, "frames of remotes that the device took")                               \
  X(bytes_received, "their bytes")                                                           \
  X(device_reads, "reads that brought a frame, or many of one connection joined")            \
  X(device_writes, "writes that the device took, of one frame or many joined")               \
  X(frames_flooded, "frames that went to all remotes")                                       \
  X(unknown_remote_drops, "datagrams from addresses that are no remote's")                   \
  X(malformed_drops, "datagrams that are cut, or say what they are not")                     \
  X(other_vni_drops, "datagrams of another VXLAN network")                                   \
  X(too_long_drops, "frames of remotes that are longer than the device's MTU allows")        \
  X(refused_source_drops, "frames from addresses that are a group's, or elsewhere")          \
  X(unknown_destination_drops, "frames to whom nobody knows, without flooding")              \
  X(device_drops, "frames of remotes that the device did not take")                          \
  X(unsendable_drops, "frames of the device that could not be divided")                      \
  X(send_drops, "datagrams that the kernel had no memory for")                               \
  X(addresses_not_learned, "frames from addresses for which the table had no room")          \
  X(addresses_moved, "times that an address was heard of from another remote than before")   \
  X(mtu_changes, "times that the device's MTU followed that of the path")                    \
  X(device_losses, "times that the device was gone")

// How things are now.
#define KSOCKET_TUNNEL_GAUGES(X)                          \
  X(known_addresses, "Ethernet addresses that are known") \
  X(mtu, "bytes; 0 while the device is not there")

enum class TunnelCounter : uint32_t {
#define X(name, doc) name,
  KSOCKET_TUNNEL_COUNTERS(X) KSOCKET_TUNNEL_GAUGES(X)
#undef X
      kCount
};
inline constexpr uint32_t kTunnelCounters = static_cast<uint32_t>(TunnelCounter::kCount);

// In memory that others read without a call. One thread writes.
class TunnelCounters {
 public:
  explicit TunnelCounters(uint64_t* cells) : cells_(cells) {}

  void add(TunnelCounter counter, uint64_t n) const { set(counter, get(counter) + n); }
  void set(TunnelCounter counter, uint64_t n) const { cell(counter).store(n, std::memory_order_relaxed); }
  uint64_t get(TunnelCounter counter) const { return cell(counter).load(std::memory_order_relaxed); }

 private:
  std::atomic_ref<uint64_t> cell(TunnelCounter counter) const {
    return std::atomic_ref<uint64_t>(cells_[static_cast<uint32_t>(counter)]);
  }

  uint64_t* cells_;
};

}  // namespace ksocket
