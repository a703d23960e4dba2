// Every name of the shared layout, once: the generator prints them as TypeScript, and kLayoutHash lets the
// two sides notice at load time that they were built from different layouts.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/contract/open_flags.h"
#include "core/control/kinds.h"
#include "core/memory/counters.h"
#include "core/memory/latency_histogram.h"
#include "core/memory/layout.h"
#include "core/memory/tunnel_counters.h"
#include "core/socket/options.h"

namespace ksocket {

// X(TypeScript name, value)
// lib/ refuses what is longer than DATAGRAM_BYTES_MAX, and leaves the rest for the kernel to judge.
#define KSOCKET_LAYOUT(X)                                          \
  X(DESCRIPTOR_BYTES, sizeof(Descriptor))                          \
  X(D_SOCKET_ID, offsetof(Descriptor, socket_id))                  \
  X(D_OFFSET, offsetof(Descriptor, offset))                        \
  X(D_LENGTH, offsetof(Descriptor, length))                        \
  X(D_SEGMENT_SIZE, offsetof(Descriptor, segment_size))            \
  X(D_FLAGS, offsetof(Descriptor, flags))                          \
  X(D_PEER_ID, offsetof(Descriptor, peer_id))                      \
  X(D_SEND_ID, offsetof(Descriptor, send_id))                      \
  X(D_PORT, offsetof(Descriptor, port))                            \
  X(D_FAMILY, offsetof(Descriptor, family))                        \
  X(D_KIND, offsetof(Descriptor, kind))                            \
  X(D_ADDRESS, offsetof(Descriptor, address))                      \
  X(D_SCOPE_ID, offsetof(Descriptor, scope_id))                    \
  X(D_SIZE, offsetof(Descriptor, size))                            \
  X(D_RESULT, offsetof(Descriptor, result))                        \
  X(D_USER_DATA, offsetof(Descriptor, user_data))                  \
  X(D_SOURCE, offsetof(Descriptor, source))                        \
  X(SOURCE_BYTES, sizeof(Source))                                  \
  X(S_ADDRESS, offsetof(Source, address))                          \
  X(S_IFINDEX, offsetof(Source, ifindex))                          \
  X(S_TX_TIME_NS, offsetof(Source, tx_time_ns))                    \
  X(FLAG_TIMED, static_cast<int>(kTimed))                          \
  X(FLAG_SAYS_MORE, static_cast<int>(kSaysMore))                   \
  X(TOS_SAID, kTosSaid)                                            \
  X(PACKET_INFO_BYTES, sizeof(PacketInfo))                         \
  X(P_LOCAL, offsetof(PacketInfo, local))                          \
  X(P_ANSWER_FROM, offsetof(PacketInfo, answer_from))              \
  X(P_ORIGINAL, offsetof(PacketInfo, original))                    \
  X(P_IFINDEX, offsetof(PacketInfo, ifindex))                      \
  X(P_ORIGINAL_PORT, offsetof(PacketInfo, original_port))          \
  X(P_LOCAL_FAMILY, offsetof(PacketInfo, local_family))            \
  X(P_ORIGINAL_FAMILY, offsetof(PacketInfo, original_family))      \
  X(KIND_DATAGRAM, static_cast<int>(DescriptorKind::datagram))     \
  X(KIND_ERROR, static_cast<int>(DescriptorKind::error))           \
  X(KIND_SENT, static_cast<int>(DescriptorKind::sent))             \
  X(KIND_DRAINED, static_cast<int>(DescriptorKind::drained))       \
  X(KIND_PEER_ERROR, static_cast<int>(DescriptorKind::peer_error)) \
  X(KIND_SEND_TIME, static_cast<int>(DescriptorKind::send_time))   \
  X(CREDENTIALS, kCredentials)                                     \
  X(RIGHTS_TRUNCATED, kRightsTruncated)                            \
  X(FLAG_TRUNCATED, static_cast<int>(kTruncated))                  \
  X(FLAG_PACKET_INFO, static_cast<int>(kHasPacketInfo))            \
  X(FLAG_IN_CHUNK, static_cast<int>(kInChunk))                     \
  X(CHUNK_SHIFT, kChunkShift)                                      \
  X(CHUNKS, kChunks)                                               \
  X(CHUNK_BYTES, kChunkBytes)                                      \
  X(CONTROL_BYTES, sizeof(RingControl))                            \
  X(C_THREAD_ID, offsetof(RingControl, thread_id))                 \
  X(C_HEAD, offsetof(RingControl, head))                           \
  X(C_BASE, offsetof(RingControl, base))                           \
  X(C_TAIL, offsetof(RingControl, tail))                           \
  X(C_CROWDING, offsetof(RingControl, crowding))                   \
  X(C_STAGED, offsetof(RingControl, staged))                       \
  X(C_WAKE_PENDING, offsetof(RingControl, wake_pending))           \
  X(C_PRODUCER_WAITING, offsetof(RingControl, producer_waiting))   \
  X(SOCKET_SLOT_BITS, kSocketSlotBits)                             \
  X(DATAGRAM_BYTES_MAX, kDatagramBytesMax)                         \
  X(JOINED_BYTES_MAX, kJoinedBytesMax)                             \
  X(GSO_SEGMENTS_MIN, kGsoSegmentsMin)                             \
  X(RESULT_DEFERRED, kResultDeferred)                              \
  X(PEERS_MAX, kPeersMax)                                          \
  X(COUNTERS_PER_ROW, kCountersPerRow)                             \
  X(COUNTER_ROWS_PER_PAGE, kCounterRowsPerPage)                    \
  X(LATENCY_SUB_BUCKET_BITS, kLatencySubBucketBits)                \
  X(LATENCY_BUCKETS, kLatencyBuckets)                              \
  X(LATENCY_SUM, kLatencySum)                                      \
  X(LATENCY_CELLS, kLatencyCells)

#define X(name, value) static_cast<int64_t>(value),
inline constexpr int64_t kLayoutValues[] = {KSOCKET_LAYOUT(X)};
#undef X

constexpr uint32_t fnv1a(uint32_t hash, uint64_t value) {
  for (int i = 0; i < 8; i++) hash = (hash ^ static_cast<uint8_t>(value >> (8 * i))) * 16777619u;
  return hash;
}
constexpr uint32_t fnv1a(uint32_t hash, const char* text) {
  for (; *text != '\0'; text++) hash = (hash ^ static_cast<uint8_t>(*text)) * 16777619u;
  return hash;
}

constexpr uint32_t layout_hash() {
  uint32_t hash = 2166136261u;
  for (int64_t value : kLayoutValues) hash = fnv1a(hash, static_cast<uint64_t>(value));
#define X(name, ...) hash = fnv1a(fnv1a(hash, #name), offsetof(Descriptor, name));
  KSOCKET_METADATA_KINDS(X)
#undef X
#define X(name, doc) hash = fnv1a(fnv1a(hash, #name), static_cast<uint64_t>(Counter::name));
  KSOCKET_RX_COUNTERS(X)
  KSOCKET_SERVER_COUNTERS(X)
  KSOCKET_THREAD_COUNTERS(X)
  KSOCKET_TX_COUNTERS(X)
  KSOCKET_IN_KERNEL_COUNTERS(X)
#undef X
#define X(name, doc) hash = fnv1a(fnv1a(hash, #name), static_cast<uint64_t>(TunnelCounter::name));
  KSOCKET_TUNNEL_COUNTERS(X)
  KSOCKET_TUNNEL_GAUGES(X)
#undef X
#define X(name, ...) hash = fnv1a(fnv1a(hash, #name), static_cast<uint64_t>(SocketOption::name));
  KSOCKET_OPTIONS(X)
#undef X
#define X(name, value) hash = fnv1a(fnv1a(hash, #name), static_cast<uint64_t>(value));
  KSOCKET_OPEN_FLAGS(X)
#undef X
  return hash;
}
inline constexpr uint32_t kLayoutHash = layout_hash();

}  // namespace ksocket
