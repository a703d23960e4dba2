#include "core/answer/rules/reply_template.h"

#include <algorithm>
#include <cstring>

#include "core/answer/rules/conditions.h"

namespace ksocket::rules {

namespace {

constexpr uint64_t kNsPerSecond = 1'000'000'000;
// RFC 5905, figure 4: the NTP day 1 January 1970 begins at.
constexpr uint64_t kUnixEpochInNtp = 2'208'988'800;

struct Range {
  size_t begin, size;
};

// Array.prototype.slice: negative counts from the end, and what is not there is left out.
Range slice(int32_t begin, int32_t end, size_t length) {
  auto clamp = [length](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? at + static_cast<int64_t>(length) : at, 0,
                               static_cast<int64_t>(length));
  };
  int64_t from = clamp(begin), to = clamp(end);
  return {static_cast<size_t>(from), static_cast<size_t>(std::max<int64_t>(to - from, 0))};
}

void put_big_endian(uint64_t value, size_t size, uint8_t* out) {
  for (size_t i = size; i-- > 0; value >>= 8) out[i] = static_cast<uint8_t>(value);
}

// 32 bits of seconds since 1900, modulo an era of 136 years, and 32 bits of fraction.
uint64_t ntp_time(uint64_t unix_ns) {
  uint64_t seconds = unix_ns / kNsPerSecond + kUnixEpochInNtp;
  return seconds << 32 | ((unix_ns % kNsPerSecond) << 32) / kNsPerSecond;
}

// XORs with the request from `at` on, as if it went on with zeroes.
void xor_with(std::span<const uint8_t> request, int32_t at, uint8_t* out, size_t size) {
  if (at < 0) return;
  for (size_t i = 0; i < size && at + i < request.size(); i++) out[i] ^= request[at + i];
}

struct AddressSizes {
  size_t source, local;
};

size_t size_of(const Part& part, size_t request_bytes, AddressSizes addresses) {
  switch (part.kind) {
    case Part::Kind::literal:
      return static_cast<size_t>(part.end - part.begin);
    case Part::Kind::request:
      return slice(part.begin, part.end, request_bytes).size;
    case Part::Kind::source_address:
      return addresses.source;
    case Part::Kind::local_address:
      return addresses.local;
    case Part::Kind::source_port:
      return 2;
    case Part::Kind::ttl:
    case Part::Kind::dscp:
    case Part::Kind::ecn:
      return 1;
    case Part::Kind::time_ntp:
    case Part::Kind::time_unix:
      return 8;
    case Part::Kind::counter:
      return part.counter_bytes;
  }
  return 0;
}

}  // namespace

size_t max_size(const Template& reply, size_t request_bytes) {
  size_t size = 0;
  for (const Part& part : reply.parts) size += size_of(part, request_bytes, {16, 16});
  return size;
}

size_t render(const Template& reply, const Request& request, uint64_t counter, uint8_t* out,
              size_t capacity) {
  std::span<const uint8_t> ip = ip_bytes(request.source);
  size_t written = 0;
  for (const Part& part : reply.parts) {
    size_t size = size_of(part, request.payload.size(), {ip.size(), request.local.size()});
    if (size > capacity - written) return kDoesNotFit;
    if (size == 0) continue;  // memcpy(3) takes no null pointers, not even for nothing
    uint8_t* to = out + written;
    switch (part.kind) {
      case Part::Kind::literal:
        std::memcpy(to, reply.literals.data() + part.begin, size);
        break;
      case Part::Kind::request:
        std::memcpy(to, request.payload.data() + slice(part.begin, part.end, request.payload.size()).begin,
                    size);
        break;
      case Part::Kind::source_address:
        std::memcpy(to, ip.data(), size);
        xor_with(request.payload, part.xor_at, to, size);
        break;
      case Part::Kind::local_address:
        std::memcpy(to, request.local.data(), size);
        xor_with(request.payload, part.xor_at, to, size);
        break;
      case Part::Kind::source_port:
        put_big_endian(request.source.port, size, to);
        xor_with(request.payload, part.xor_at, to, size);
        break;
      case Part::Kind::time_ntp:
        put_big_endian(ntp_time(request.time_ns), size, to);
        break;
      case Part::Kind::time_unix:
        put_big_endian(request.time_ns, size, to);
        break;
      case Part::Kind::counter:
        put_big_endian(counter, size, to);
        break;
      case Part::Kind::ttl:
        *to = request.ttl;
        break;
      case Part::Kind::dscp:
        *to = static_cast<uint8_t>((request.tos & 0xff) >> 2);
        break;
      case Part::Kind::ecn:
        *to = request.tos & 3;
        break;
    }
    written += size;
  }
  return written;
}

}  // namespace ksocket::rules
