// The maps of a program that answers in the kernel, as data: who loads it makes them (bpf(2),
// BPF_MAP_CREATE), fills them, and reads what the program counted. Addresses are 16 bytes in network order,
// IPv4 as IPv4-mapped IPv6 (RFC 4291, section 2.5.5.2); all other numbers are the host's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ksocket::xdp {

enum class MapId : uint8_t {
  addresses,   // hash: address → AddressFlags. Filled by who loads, and kept current
  options,     // array of one Options. Filled before the program is attached
  counters,    // per-CPU array of one KernelCounters
  hits,        // per-CPU array, one uint64_t a rule: datagrams that the kernel decided and the rule matched
  numbers,     // array of uint64_t: replies that a rule has made, what a `counter` slot says
  scratch,     // per-CPU array of one Scratch; nobody else's business
  deny,        // LPM trie: LpmKey → uint8_t
  allow,       // LPM trie: LpmKey → uint8_t
  per_source,  // LRU hash: SourceKey → Bucket
  total,       // array of one Bucket
  exchanges,   // LRU hash: PeerKey → Exchange (protection/exchanges.h)
  seen,        // LRU hash: hash of a payload (uint64_t) → uint8_t
  programs,    // program array: the programs behind the first one, each at its place in CompiledRules
  generic,     // hash: index of an interface → uint8_t, of those that have programs in generic mode
  servers,     // program array of the process's: of each server its first program, and CompiledRules::left
  kCount
};

struct MapSpec {
  MapId id;
  const char* name;  // at most 15 characters, BPF_OBJ_NAME_LEN
  uint32_t type;     // enum bpf_map_type
  uint32_t key_size, value_size, max_entries, flags;

  bool operator==(const MapSpec&) const = default;
};

// What the map has to hold before the program runs.
struct MapEntry {
  MapId map;
  std::vector<uint8_t> key, value;
};

// Of `addresses`, uint32_t.
inline constexpr uint32_t kAddressesMax = 4096;
inline constexpr uint32_t kAddressLocal = 1;      // one of this machine's, whatever the socket is bound to
inline constexpr uint32_t kAddressServed = 2;     // datagrams to it come to the socket
inline constexpr uint32_t kAddressBroadcast = 4;  // of a subnet: neither answered nor answered to
inline constexpr uint32_t kAddressLoopback = 8;   // comes by lo, or is forged (RFC 1122, section 3.2.1.3)

// Of `generic`.
inline constexpr uint32_t kInterfacesMax = 4096;

struct Options {
  // What is added to the program's clock (CompileOptions::clock) to get nanoseconds since 1970. May be
  // written while the program runs.
  uint64_t clock_offset_ns = 0;
  // CLOCK_MONOTONIC when the buckets were made: they count from there.
  uint64_t epoch_ns = 0;
};

// X(name, what it counts)
#define KSOCKET_KERNEL_COUNTERS(X)                                         \
  X(passed, "datagrams to the socket that were left to the thread")        \
  X(answered, "answers sent by the kernel: replies and echoes")            \
  X(answered_bytes, "payload bytes of those")                              \
  X(requests_bytes, "payload bytes of what the kernel decided")            \
  X(rule_drops, "datagrams that a rule, or the default, dropped")          \
  X(denied, "datagrams from sources that the lists refuse")                \
  X(limited, "datagrams over a source's rate")                             \
  X(limited_total, "datagrams over the server's rate")                     \
  X(loop_repeats, "answers not sent: to a peer that only answers answers") \
  X(refused_replies, "replies not sent because they are longer than the request")

struct KernelCounters {
#define X(name, doc) uint64_t name = 0;
  KSOCKET_KERNEL_COUNTERS(X)
#undef X
};

struct LpmKey {
  uint32_t prefix_bits;  // 96 more for IPv4
  uint8_t address[16];
};
static_assert(sizeof(LpmKey) == 20);

// An IPv4 address, or the upper half of an IPv6 one, as TokenBuckets has it.
struct SourceKey {
  uint64_t prefix = 0;
  uint64_t family = 0;  // 4 or 6
};

// The virtual scheduling form of a token bucket (ITU-T I.371, GCRA): when it would be full again, in units of
// 2^-8 ns since Options::epoch_ns. One number, so that processors can share it without a lock.
struct Bucket {
  uint64_t full_at = 0;
};

struct PeerKey {
  uint8_t address[16];
  uint32_t port;
};
static_assert(sizeof(PeerKey) == 20);

// Exchanges::Exchange without its key.
struct Exchange {
  int64_t tokens = 0;
  uint64_t latest_ns = 0, begin_ns = 0, asked = 0, trial_ns = 0, heard = 0, level = 0, kinds = 0;
  uint64_t kind_bits[8] = {};
};

// What is longer is left to the thread, requests as well as replies.
inline constexpr uint32_t kPayloadBytesMax = 1536;
// An IP packet that is longer than this, and than the request's, is left to the thread.
inline constexpr uint32_t kPathBytesMin = 1280;
// Rules behind these are left to the thread: a per-CPU value holds 32 KiB.
inline constexpr uint32_t kRulesMax = 4096;
// How many `count` rules may match a datagram that the kernel decides.
inline constexpr uint32_t kCountedMax = 64;

// From the checks to the verdict, over all programs of the chain.
struct Scratch {
  // What a UDP checksum is made of, whichever way the datagram goes (RFC 768, RFC 8200 section 8.1). The
  // 0xffff of an IPv4-mapped address is nothing to a ones' complement sum.
  struct Pseudo {
    uint8_t source[16];
    uint8_t local[16];
    uint8_t source_port[2], local_port[2];  // these in network order
    uint8_t length[2], checksum[2];
    uint8_t length_again[2];
    uint8_t protocol[2];
  } pseudo;
  uint32_t rule;         // that decides, as far as has been seen; UINT32_MAX: none
  uint32_t verdict;      // compile.h
  uint32_t reply_bytes;  // of that rule
  uint32_t length;       // of the payload
  uint32_t source_port;
  uint32_t headers;  // bytes before the payload
  uint32_t sum;      // of the payload
  uint32_t is_ipv6;
  uint32_t is_partial;  // the frame's checksum is still to be computed, by whoever sends it on
  uint32_t ttl;
  uint32_t tos;
  uint32_t tells;     // the guard listens to what is said
  uint32_t counted;   // how many of counts
  uint32_t sized;     // the size of a reply as it is added up
  uint32_t rendered;  // how much of the reply is there
  uint32_t frame;     // bytes that it had
  uint64_t now_ns;    // since 1970
  uint64_t number;    // how many replies the rule has made before
  uint32_t counts[kCountedMax];
  // Behind the payload 16 zeroes, for what is summed, or XORed with, in words.
  uint8_t payload[kPayloadBytesMax + 16];
  // A reply is no longer than kPayloadBytesMax, but the verifier sees only what each of three terms may be:
  // where a part of any size ended, what follows it, and a further such part.
  uint8_t reply[3 * kPayloadBytesMax + 32];
};

}  // namespace ksocket::xdp
