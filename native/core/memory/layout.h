// The memory that C++ and JavaScript share. This header is its one source: lib/backend/layout.ts is generated
// from it (`npm run generate`), and a test fails when the two disagree.
//
//   control      one RingControl
//   descriptors  Descriptor[slots], slots a power of two
//   arena        payload bytes, back to back
//   counters     pages of kCounterRowsPerPage rows of kCountersPerRow u64 (core/memory/counters.h names them)
//
//   latency      kLatencyCells u64 (core/memory/latency_histogram.h), while a monitor wants them
//
// All of it is allocated by JavaScript (runtimes with a memory cage refuse external buffers) and stays pinned
// by the bridge until the I/O thread has been joined. No program can detach any of it: the receive ring's
// arena, of which users see views, is a WebAssembly.Memory's (lib/thread/memory.ts), the rest is
// SharedArrayBuffers, which a monitor's thread can read, too.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/udp_limits.h"  // kDatagramBytesMax

namespace ksocket {

// What a Descriptor in the receive ring announces.
enum class DescriptorKind : uint8_t {
  datagram = 0,  // payload in the arena
  error = 1,     // a receive error: `result` is -errno
  sent = 2,      // a deferred send has ended: `user_data` names it, `result` is bytes or -errno
  drained = 3,   // nothing waits to be sent any more, as somebody wanted to know
  // What the network says of a datagram that was sent to `address`, of which the payload is the beginning:
  // `result` is -errno, `user_data` the path's MTU or 0, `tos` ICMP's type << 8 | code; the address of who
  // says so is the PacketInfo's `local`
  peer_error = 4,
  // What the kernel says of when a datagram was sent: `result` is the id that it was sent with, `received_ns`
  // the time, `tos` a SendTimeKind (core/socket/error_queue.h)
  send_time = 5,
};

enum DescriptorFlags : uint16_t {
  kTruncated = 1 << 0,      // `size` is the datagram's full length, `length` what was kept
  kHasPacketInfo = 1 << 1,  // the slot's PacketInfo is about this datagram
  kSaysMore = 1 << 2,  // to send: `tos`, `ttl` and `source` say something; without it they are not looked at
  kTimed = 1 << 3,    // to send, with kSaysMore: somebody wants to know when it is sent; `send_id` says which
  kInChunk = 1 << 4,  // the payload is not in the arena but in a Chunk (core/memory/chunks.h), whose place is
                      // in the bits from kChunkShift on
};
inline constexpr uint32_t kChunkShift = 8;
inline constexpr uint32_t kChunks = 8;
inline constexpr uint32_t kChunkBytes = 64 * 1024;
static_assert(kChunkBytes >= kDatagramBytesMax);

// One datagram (or, with segment_size != 0, one GRO super-datagram whose segments are all segment_size bytes
// but the last). The same 64 bytes describe datagrams to send: there address/port are the destination.
struct alignas(64) Descriptor {
  uint32_t socket_id;     // slot | generation << kSocketSlotBits
  uint32_t offset;        // of the payload in the arena
  uint32_t length;        // payload bytes in the arena
  uint16_t segment_size;  // 0: a single datagram
  uint16_t flags;         // DescriptorFlags
  union {
    uint32_t peer_id;  // received: index in the bounded peer table
    uint32_t send_id;  // to send, with kTimed: the program's number of it; by a local socket, with
                       // kSaysMore: a bundle of Rights
  };
  uint16_t port;   // host byte order
  uint8_t family;  // 4, 6, or of a local socket 1; 0 on a connected socket's sends
  DescriptorKind kind;
  // Network byte order; IPv4 uses the first four bytes. Of a local socket its number (PathTable), of eight
  uint8_t address[16];
  uint32_t scope_id;  // IPv6 zone, an interface index
  union {
    uint32_t size;   // received: the full length on the wire
    int32_t result;  // sent: bytes or -errno; error: -errno
  };
  // Received: what the kernel said beside the datagram, a field for each of KSOCKET_METADATA_KINDS
  // (core/control/kinds.h); 0 where it was not asked for.
  union {
    uint64_t user_data;    // sent: the sender's number of this datagram
    uint64_t received_ns;  // received: when, CLOCK_REALTIME
  };
  uint16_t tos;         // kTosSaid | IPv4's type of service, IPv6's traffic class
  uint8_t ttl;          // as it arrived: IPv4's time to live, IPv6's hop limit
  uint8_t reserved[3];  // for kinds to come; nobody writes or reads them
  uint16_t source;      // to send: place + 1 in the array of Sources that goes with the descriptors; 0: none
};
static_assert(sizeof(Descriptor) == 64);
static_assert(offsetof(Descriptor, address) == 24 && offsetof(Descriptor, user_data) == 48);

// A traffic class of 0 is one, too.
inline constexpr uint16_t kTosSaid = 0x100;

// What a PacketInfo has for a local socket.
inline constexpr uint8_t kCredentials = 1;
// Beside the number of a bundle: more descriptors came along than the process has room for.
inline constexpr uint32_t kRightsTruncated = 1u << 31;

// What is too long for a Descriptor, of sockets that ask for it: that of the record in slot n is the n-th of
// an array of its own, which is made for the first of them.
struct alignas(64) PacketInfo {
  // The address that the datagram was sent to, as Descriptor::address; of a local socket process, user and
  // group of who has sent it, 32 bits each
  uint8_t local[16];
  uint8_t answer_from[16];  // ours that an answer comes from; 0: the kernel is to choose
  uint8_t original[16];     // where it was sent before the kernel redirected it here (IP_RECVORIGDSTADDR)
  // Of the interface that it came in by; of a local socket a bundle of Rights, or 0, and kRightsTruncated.
  uint32_t ifindex;
  uint16_t original_port;  // host byte order
  uint8_t local_family;    // 4, 6 or kCredentials; 0: not said
  uint8_t original_family;
};
static_assert(sizeof(PacketInfo) == sizeof(Descriptor));  // what finds the one finds the other

// Where a datagram is sent from, instead of where the socket and the route say (IP_PKTINFO, ip(7)), and when
// (SCM_TXTIME).
struct alignas(32) Source {
  uint8_t address[16];  // as Descriptor::address; 0: the kernel chooses
  uint32_t ifindex;     // of the interface to leave by; 0: the kernel chooses
  uint64_t tx_time_ns;  // by the clock of SO_TXTIME; 0: at once
};
static_assert(sizeof(Source) == 32);

// How many datagrams `length` bytes of payload are.
constexpr uint32_t segments_of(uint32_t length, uint32_t segment_size) {
  return segment_size == 0 || length <= segment_size ? 1 : (length + segment_size - 1) / segment_size;
}

// How long the first of them is.
constexpr uint32_t first_length(uint32_t length, uint32_t segment_size) {
  return segment_size != 0 && segment_size < length ? segment_size : length;
}

// Each cursor is alone on its cache line: what one side writes does not evict what the other side writes.
struct RingControl {
  // Written by the I/O thread.
  alignas(64) uint32_t head;  // descriptors published so far, modulo 2^32
  uint32_t base;       // descriptor n lives in slot (n - base) % slots; changes only while the ring is empty
  uint32_t thread_id;  // gettid(2) while the I/O thread runs, else 0: whoever monitors it finds it in /proc
  // Written by JavaScript.
  alignas(64) uint32_t tail;  // descriptors consumed so far
  uint32_t crowding;  // the socket that has the most to do, while several wait for each other; 0: none
  uint32_t staged;    // descriptors to send that are complete; native code clears it when it takes them
  // Written by both.
  alignas(64) uint32_t wake_pending;      // 1: a wake-up of JavaScript is under way
  alignas(64) uint32_t producer_waiting;  // 1: the I/O thread found the ring full and wants `resume`
};
static_assert(sizeof(RingControl) == 256);

inline constexpr uint32_t kSocketSlotBits = 20;
inline constexpr uint32_t kSocketSlotMask = (1u << kSocketSlotBits) - 1;

// A `result` that is none yet: the datagram waits for the socket to be writable.
inline constexpr int32_t kResultDeferred = INT32_MIN;

// Places in the peer table; JavaScript keeps as many formatted addresses.
inline constexpr uint32_t kPeersMax = 16384;

inline constexpr uint32_t kCountersPerRow = 48;
inline constexpr uint32_t kCounterRowsPerPage = 128;

}  // namespace ksocket
