// The buffers that one receive call fills: a slot per datagram with room for the largest super-datagram, its
// source address and its ancillary data. The kernel overwrites parts of each header it uses, so only as many
// are set up again as were used: sparse traffic pays for one datagram, not for the whole batch.
#pragma once

#include <memory>
#include <span>

#include "core/base/udp_limits.h"
#include "core/control/control.h"
#include "core/memory/chunks.h"
#include "core/socket/address.h"
#include "core/socket/rights.h"
#include "core/socket/socket_name.h"
#include "engine/engine.h"

namespace ksocket {

// Of local sockets: with all descriptors that may come.
inline constexpr size_t kLocalControlBytes = kRxControlBytes + CMSG_SPACE(kRightsMax * sizeof(int));
static_assert(kRxControlBytes % alignof(cmsghdr) == 0 && kLocalControlBytes % alignof(cmsghdr) == 0);

class RxBatch {
 public:
  static constexpr uint32_t kSlots = 64;
  // More than a datagram, so that the slots' first bytes do not all fall into the same cache set.
  static constexpr uint32_t kStride = kDatagramBytesMax + 1 + 4096 + 64;

  // What the largest takes, about.
  static constexpr size_t kBytes = size_t{kSlots} * (kStride + kLocalControlBytes + 512);

  // Names and ancillary data of up to so many bytes: of IP, unless it is said.
  explicit RxBatch(socklen_t name_bytes = sizeof(sockaddr_in6), size_t control_bytes = kRxControlBytes)
      : name_bytes_(name_bytes),
        name_stride_((name_bytes + 15u) / 16 * 16),
        control_bytes_(control_bytes),
        scratch_(new Scratch),
        controls_(new uint8_t[kSlots * control_bytes]),
        names_(new uint8_t[kSlots * name_stride_]),
        payloads_(new uint8_t[size_t{kSlots} * kStride]) {
    for (uint32_t i = 0; i < kSlots; i++) {
      scratch_->iovs[i] = {nullptr, kDatagramBytesMax};
      Message& message = scratch_->messages[i];
      message = {};
      message.header.msg_iov = &scratch_->iovs[i];
      message.header.msg_iovlen = 1;
      message.header.msg_name = &names_[i * name_stride_];
      message.header.msg_control = &controls_[i * control_bytes_];
      prepare(i);
    }
    aim(kSlots, payloads_.get());
  }

  // At most kSlots messages, ready for Engine::receive. The payload of slot i goes to offset(i) of base(), or
  // of `elsewhere`.
  std::span<Message> slots(uint32_t count, uint8_t* elsewhere = nullptr) {
    aim(count, elsewhere != nullptr ? elsewhere : payloads_.get());
    return {scratch_->messages, count};
  }
  // The same with a place for each.
  std::span<Message> slots_at(std::span<const Chunks::Free> places) {
    for (size_t i = 0; i < places.size(); i++) scratch_->iovs[i].iov_base = places[i].memory;
    aimed_at_ = nullptr;
    aimed_ = 0;
    return {scratch_->messages, places.size()};
  }
  // Call with what the engine returned once its messages are dealt with.
  void recycle(uint32_t used) {
    for (uint32_t i = 0; i < used; i++) prepare(i);
  }

  const uint8_t* base() const { return aimed_at_; }
  static uint32_t offset(uint32_t slot) { return slot * kStride; }
  const Message& message(uint32_t slot) const { return scratch_->messages[slot]; }
  const sockaddr* name(uint32_t slot) const {
    return reinterpret_cast<const sockaddr*>(&names_[slot * name_stride_]);
  }

 private:
  struct Scratch {
    Message messages[kSlots];
    iovec iovs[kSlots];
  };

  void aim(uint32_t count, uint8_t* base) {
    if (base == aimed_at_ && count <= aimed_) return;
    for (uint32_t i = 0; i < count; i++) scratch_->iovs[i].iov_base = base + offset(i);
    aimed_at_ = base;
    aimed_ = count;
  }

  void prepare(uint32_t slot) {
    msghdr& header = scratch_->messages[slot].header;
    header.msg_namelen = name_bytes_;
    header.msg_controllen = control_bytes_;
    header.msg_flags = 0;
  }

  const socklen_t name_bytes_;
  const uint32_t name_stride_;
  const size_t control_bytes_;  // a multiple of what a cmsghdr is aligned to
  std::unique_ptr<Scratch> scratch_;
  std::unique_ptr<uint8_t[]> controls_;
  std::unique_ptr<uint8_t[]> names_;
  std::unique_ptr<uint8_t[]> payloads_;  // left uninitialised: a slot costs memory once it is used
  uint8_t* aimed_at_ = nullptr;          // where the first `aimed_` slots' payloads go
  uint32_t aimed_ = 0;
};

}  // namespace ksocket
