// Every frame that a tunnel moved, and every one that it dropped, is in one of these.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace ksocket {

// X(name, as JavaScript has it, what it counts)
#define KSOCKET_TUNNEL_COUNTERS(X)                                                                           \
  X(frames_sent, "framesSent", "frames of the device that left, of each that went to several remotes one")   \
  X(bytes_sent, "bytesSent", "their bytes, without the tunnel's own headers")                                \
  X(frames_received, "framesReceived", "frames of remotes that the device took")                             \
  X(bytes_received, "bytesReceived", "their bytes")                                                          \
  X(device_reads, "deviceReads", "reads that brought a frame, or many of one connection joined")             \
  X(device_writes, "deviceWrites", "writes that the device took, of one frame or many joined")               \
  X(frames_flooded, "framesFlooded", "frames that went to all remotes")                                      \
  X(unknown_remote_drops, "unknownRemoteDrops", "datagrams from addresses that are no remote's")             \
  X(malformed_drops, "malformedDrops", "datagrams that are cut, or say what they are not")                   \
  X(other_vni_drops, "otherVniDrops", "datagrams of another VXLAN network")                                  \
  X(too_long_drops, "tooLongDrops", "frames of remotes that are longer than the device's MTU allows")        \
  X(refused_source_drops, "refusedSourceDrops", "frames from addresses that are a group's, or elsewhere")    \
  X(unknown_destination_drops, "unknownDestinationDrops", "frames to whom nobody knows, without flooding")   \
  X(device_drops, "deviceDrops", "frames of remotes that the device did not take")                           \
  X(unsendable_drops, "unsendableDrops", "frames of the device that could not be divided")                   \
  X(send_drops, "sendDrops", "datagrams that the kernel had no memory for")                                  \
  X(addresses_not_learned, "addressesNotLearned", "frames from addresses for which the table had no room")   \
  X(addresses_moved, "addressesMoved", "times that an address was heard of from another remote than before") \
  X(device_losses, "deviceLosses", "times that the device was gone")

enum class TunnelCounter : uint32_t {
#define X(name, ...) name,
  KSOCKET_TUNNEL_COUNTERS(X)
#undef X
      kCount
};

// One thread writes, any thread reads.
class TunnelCounters {
 public:
  void add(TunnelCounter counter, uint64_t n) {
    std::atomic<uint64_t>& cell = cells_[static_cast<uint32_t>(counter)];
    cell.store(cell.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  uint64_t get(TunnelCounter counter) const {
    return cells_[static_cast<uint32_t>(counter)].load(std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<uint64_t>, static_cast<uint32_t>(TunnelCounter::kCount)> cells_{};
};

}  // namespace ksocket
