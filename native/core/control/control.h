// Ancillary data: what the kernel says beside a datagram, and what we say beside one to send, as kinds.h has
// it. See cmsg(3), udp(7).
#pragma once

#include <sys/socket.h>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>

#include "core/control/kinds.h"
#include "core/memory/layout.h"

namespace ksocket {

// What the kernel said of a datagram that JavaScript may want to know. What was not said is 0 here and below.
struct Metadata {
#define X(name, type, ...) type name{};
  KSOCKET_METADATA_KINDS(X)
#undef X
};
inline void write_metadata(const Metadata& from, Descriptor* to) {
#define X(name, ...)                                                           \
  static_assert(std::is_same_v<decltype(to->name), decltype(Metadata::name)>); \
  to->name = from.name;
  KSOCKET_METADATA_KINDS(X)
#undef X
}

// All that the kernel said of a datagram.
struct RxControl : Metadata {
#define X(name, type, ...) type name{};
  KSOCKET_THREAD_KINDS(X)
#undef X
};
// Without `packet_info` what would go there is not read. With it, all of it is written.
RxControl decode_control(const msghdr& header, PacketInfo* packet_info = nullptr);

// An adopted descriptor may have options on that we know nothing of, and the kernel puts the messages of
// SOL_SOCKET (SO_TIMESTAMPING: 64 bytes and 32, SO_RCVMARK: 24) before GRO's: in a short buffer the segment
// size would be lost, and the datagrams' boundaries with it.
inline constexpr size_t kForeignControlBytes = 128;

constexpr size_t rx_control_bytes() {
  size_t sum = kForeignControlBytes;
#define X(name, type, level_v4, type_v4, Form_v4, level_v6, type_v6, Form_v6, option) \
  sum += CMSG_SPACE(Form_v4::kBytes);                                                 \
  if (level_v4 != level_v6 || type_v4 != type_v6) sum += CMSG_SPACE(Form_v6::kBytes);
  KSOCKET_RECEIVED_KINDS(X)
#undef X
  return sum;
}
constexpr size_t tx_control_bytes() {
  size_t sum = 0;
#define X(name, value, ...) sum += CMSG_SPACE(sizeof(value));
  KSOCKET_SENT_KINDS(X)
#undef X
  return sum;
}
// Room for a message of every kind at once; where the families have places of their own, of both.
inline constexpr size_t kRxControlBytes = rx_control_bytes();
inline constexpr size_t kTxControlBytes = tx_control_bytes();

// Adds a message behind those that `header` has already: msg_control has room for `room` bytes, of which
// msg_controllen says how many are used.
template <typename Value>
void append_control(msghdr* header, size_t room, int level, int type, const Value& value) {
  assert(header->msg_controllen + CMSG_SPACE(sizeof value) <= room);
  auto* c = reinterpret_cast<cmsghdr*>(static_cast<uint8_t*>(header->msg_control) + header->msg_controllen);
  c->cmsg_level = level;
  c->cmsg_type = type;
  c->cmsg_len = CMSG_LEN(sizeof value);
  std::memcpy(CMSG_DATA(c), &value, sizeof value);
  header->msg_controllen += CMSG_SPACE(sizeof value);
}

// append_segment_size(&header, 1200) and so on, one for each row, into kTxControlBytes.
#define X(name, value, level, type)                              \
  inline void append_##name(msghdr* header, const value& name) { \
    append_control(header, kTxControlBytes, level, type, name);  \
  }
KSOCKET_SENT_KINDS(X)
#undef X

// What `datagram` says beside its destination, for a socket of this family. `sources`: as Descriptor::source
// counts them.
void append_more(msghdr* header, uint8_t family, const Descriptor& datagram, std::span<const Source> sources);

// Do both say the same, so that they may leave in one message?
inline bool say_alike(const Descriptor& a, const Descriptor& b) {
  if (((a.flags | b.flags) & kSaysMore) == 0) return true;
  // One message has one time, and one id: it is told of a datagram alone.
  if (((a.flags | b.flags) & kTimed) != 0) return false;
  return ((a.flags ^ b.flags) & kSaysMore) == 0 && a.tos == b.tos && a.ttl == b.ttl && a.source == b.source;
}

}  // namespace ksocket
