#include "core/socket/kernel_drops.h"

#include <linux/sock_diag.h>
#include <sys/socket.h>

#include "core/socket/options.h"

namespace ksocket {

namespace {

// From so many messages in a batch on, asking costs less than being told.
constexpr uint32_t kLargeBatch = 16;
// So many of them in a row are a flood; turning the option off and on again costs as much as a few datagrams.
constexpr uint32_t kLargeBatches = 4;

struct MemoryInfo {
  uint32_t waiting;  // bytes in the receive buffer
  uint32_t drops;    // in all
};

// None where the kernel does not say.
std::optional<MemoryInfo> memory_info(int fd) {
  uint32_t info[SK_MEMINFO_VARS] = {};
  socklen_t length = sizeof info;
  if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &length) < 0) return std::nullopt;
  if (length < (SK_MEMINFO_DROPS + 1) * sizeof info[0]) return std::nullopt;
  return MemoryInfo{info[SK_MEMINFO_RMEM_ALLOC], info[SK_MEMINFO_DROPS]};
}

}  // namespace

void KernelDrops::reported(uint32_t total, const Counters& counters) {
  reported_ = true;
  advance(total, counters);
}

void KernelDrops::after_batch(int fd, uint8_t family, const Counters& counters, uint32_t messages,
                              bool drained) {
  bool reported = reported_;
  reported_ = false;
  if (asking_) {
    if (drained && messages < kLargeBatch) {
      idle(fd, family, counters);
    } else {
      ask(fd, counters);
    }
    return;
  }
  large_batches_ = reported && messages >= kLargeBatch ? large_batches_ + 1 : 0;
  if (large_batches_ < kLargeBatches) return;
  large_batches_ = 0;
  asking_ =
      ask(fd, counters).has_value() && set_option(fd, family, SocketOption::report_kernel_drops, 0) == 0;
}

void KernelDrops::idle(int fd, uint8_t family, const Counters& counters) {
  if (!asking_) return;
  set_option(fd, family, SocketOption::report_kernel_drops, 1);
  ask(fd, counters);  // after that: what is dropped from now on, the next datagram reports
  asking_ = false;
}

// A datagram's total is of the time it came in, so that it may be behind what the kernel answered since.
void KernelDrops::advance(uint32_t total, const Counters& counters) {
  if (stopped_.load(std::memory_order_relaxed)) return;
  uint32_t seen = seen_.load(std::memory_order_relaxed);
  while (static_cast<int32_t>(total - seen) > 0) {
    if (!seen_.compare_exchange_weak(seen, total)) continue;
    counters.add_atomic(Counter::rx_kernel_drops, total - seen);
    return;
  }
}

std::optional<uint32_t> KernelDrops::ask(int fd, const Counters& counters) {
  std::optional<MemoryInfo> info = memory_info(fd);
  if (!info) return std::nullopt;
  advance(info->drops, counters);
  return info->waiting;
}

void KernelDrops::told(int fd, std::optional<uint32_t> total) {
  told_ = true;
  if (!total) {
    if (std::optional<MemoryInfo> info = memory_info(fd)) total = info->drops;
  }
  if (total) seen_.store(*total);
}

void KernelDrops::begin(int fd) {
  if (!told_) told(fd, std::nullopt);
  told_ = false;
  stopped_.store(false);
}

uint32_t KernelDrops::stop(int fd, const Counters& counters) {
  ask(fd, counters);
  stopped_.store(true);
  return seen();
}

}  // namespace ksocket
