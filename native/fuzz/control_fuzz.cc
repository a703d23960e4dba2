// What the kernel says beside a datagram, and what we say: any bytes as msg_control, headers that lie about
// their lengths, beside a second reading of cmsg(3).
#include <cstring>
#include <memory>
#include <vector>

#include "core/base/kernel_names.h"
#include "core/control/control.h"
#include "fuzz/support/fuzz.h"

namespace ksocket::fuzz {

namespace {

constexpr size_t kHeader = 16;  // of a message: u64 length (with itself), i32 level, i32 type

template <typename Value>
Value read(const std::vector<uint8_t>& from, size_t at) {
  Value out;
  std::memcpy(&out, &from[at], sizeof out);
  return out;
}

// One message, whose value is `size` bytes at `at`.
void interpret(int level, int type, const std::vector<uint8_t>& from, size_t at, size_t size,
               RxControl* out) {
  if (level == 17 && type == 104) {  // UDP_GRO
    if (size >= 4)
      out->segment_size = static_cast<uint16_t>(read<uint32_t>(from, at));
    else if (size >= 2)
      out->segment_size = read<uint16_t>(from, at);
  } else if (level == 1 && type == 40 && size >= 4) {  // SO_RXQ_OVFL
    out->kernel_drops = read<uint32_t>(from, at);
  } else if (level == 1 && type == 35 && size >= 16) {  // SCM_TIMESTAMPNS
    out->received_ns = read<uint64_t>(from, at) * 1'000'000'000 + read<uint64_t>(from, at + 8);
  } else if (level == 0 && type == 1 && size >= 1) {  // IP_TOS
    out->tos = static_cast<uint16_t>(0x100 | from[at]);
  } else if (level == 41 && type == 67 && size >= 4) {  // IPV6_TCLASS
    out->tos = static_cast<uint16_t>(0x100 | from[at]);
  } else if (((level == 0 && type == 2) || (level == 41 && type == 52)) && size >= 4) {  // TTL, hop limit
    out->ttl = from[at];
  }
}

RxControl interpret(const std::vector<uint8_t>& from) {
  RxControl out;
  for (size_t at = 0; at + kHeader <= from.size();) {
    uint64_t length = read<uint64_t>(from, at);
    if (length < kHeader || length > from.size() - at) break;
    interpret(read<int32_t>(from, at + 8), read<int32_t>(from, at + 12), from, at + kHeader, length - kHeader,
              &out);
    at += (length + 7) & ~uint64_t{7};
  }
  return out;
}

PacketInfo interpret_info(const std::vector<uint8_t>& from) {
  PacketInfo out{};
  for (size_t at = 0; at + kHeader <= from.size();) {
    uint64_t length = read<uint64_t>(from, at);
    if (length < kHeader || length > from.size() - at) break;
    int32_t level = read<int32_t>(from, at + 8), type = read<int32_t>(from, at + 12);
    size_t value = at + kHeader, size = length - kHeader;
    auto put = [&](uint8_t(&field)[16], size_t offset, size_t bytes) {
      std::memset(field, 0, 16);
      std::memcpy(field, &from[value + offset], bytes);
    };
    if (level == 0 && type == 8 && size >= 12) {  // IP_PKTINFO: i32 index, spec_dst, addr
      out.ifindex = read<uint32_t>(from, value);
      put(out.answer_from, 4, 4);
      put(out.local, 8, 4);
      out.local_family = 4;
    } else if (level == 41 && type == 50 && size >= 20) {  // IPV6_PKTINFO: addr, u32 index
      put(out.local, 0, 16);
      put(out.answer_from, 0, from[value] == 0xff ? 0 : 16);
      out.ifindex = read<uint32_t>(from, value + 16);
      out.local_family = 6;
    } else if (level == 0 && type == 20 && size >= 16) {  // IP_ORIGDSTADDR: u16 family, port, addr
      out.original_port = static_cast<uint16_t>(from[value + 2] << 8 | from[value + 3]);
      put(out.original, 4, 4);
      out.original_family = 4;
    } else if (level == 41 && type == 74 && size >= 28) {  // IPV6_ORIGDSTADDR: …, u32 flow, addr
      out.original_port = static_cast<uint16_t>(from[value + 2] << 8 | from[value + 3]);
      put(out.original, 8, 16);
      out.original_family = 6;
    }
    at += (length + 7) & ~uint64_t{7};
  }
  return out;
}

// In memory of just that size.
void check(const std::vector<uint8_t>& bytes) {
  auto copy = std::make_unique<uint8_t[]>(bytes.size());
  if (!bytes.empty()) std::memcpy(copy.get(), bytes.data(), bytes.size());
  msghdr header{};
  header.msg_control = copy.get();
  header.msg_controllen = bytes.size();
  RxControl got = decode_control(header), wanted = interpret(bytes);
  must(got.segment_size == wanted.segment_size, "GRO's segment size");
  must(got.kernel_drops == wanted.kernel_drops, "the kernel's drops");
  must(got.received_ns == wanted.received_ns, "the time of receiving");
  must(got.ttl == wanted.ttl, "the hop limit");
  must(got.tos == wanted.tos, "the traffic class");
  PacketInfo info, wanted_info = interpret_info(bytes);
  std::memset(static_cast<void*>(&info), 0xa5, sizeof info);
  RxControl again = decode_control(header, &info);
  must(again.ttl == wanted.ttl && again.tos == wanted.tos, "the same with room for more");
  must(std::memcmp(info.local, wanted_info.local, 16) == 0 && info.local_family == wanted_info.local_family &&
           std::memcmp(info.answer_from, wanted_info.answer_from, 16) == 0 &&
           info.ifindex == wanted_info.ifindex,
       "where it was sent to");
  must(std::memcmp(info.original, wanted_info.original, 16) == 0 &&
           info.original_port == wanted_info.original_port &&
           info.original_family == wanted_info.original_family,
       "where it was sent before");
  Descriptor descriptor;
  std::memset(static_cast<void*>(&descriptor), 0xa5, sizeof descriptor);
  write_metadata(got, &descriptor);
  must(descriptor.ttl == wanted.ttl, "the hop limit in the descriptor");
}

// Messages as the kernel lays them out, more or less.
std::vector<uint8_t> messages(Random& in) {
  constexpr int32_t kKinds[][2] = {{SOL_UDP, UDP_GRO},
                                   {SOL_SOCKET, SO_RXQ_OVFL},
                                   {SOL_SOCKET, SCM_TIMESTAMPNS},
                                   {IPPROTO_IP, IP_TTL},
                                   {IPPROTO_IPV6, IPV6_HOPLIMIT},
                                   {SOL_UDP, SO_RXQ_OVFL},
                                   {SOL_SOCKET, SCM_TIMESTAMP},
                                   {IPPROTO_IP, IP_TOS},
                                   {IPPROTO_IPV6, IPV6_TCLASS},
                                   {IPPROTO_IP, IP_PKTINFO},
                                   {IPPROTO_IPV6, IPV6_PKTINFO},
                                   {IPPROTO_IP, IP_ORIGDSTADDR},
                                   {IPPROTO_IPV6, IPV6_ORIGDSTADDR}};
  std::vector<uint8_t> out;
  for (uint32_t count = in.below(8); count > 0; count--) {
    const auto& [level, type] = kKinds[in.below(std::size(kKinds))];
    std::span<const uint8_t> value = in.bytes(in.below(33));
    uint64_t length = kHeader + value.size();
    size_t at = out.size();
    out.resize(at + ((length + 7) & ~uint64_t{7}));
    if (in.one_in(6)) length += in.below(256) - 128;
    if (in.one_in(16)) length = in.below(kHeader + 1);
    if (in.one_in(16)) length = ~uint64_t{0} - in.below(32);
    std::memcpy(&out[at], &length, 8);
    std::memcpy(&out[at + 8], &level, 4);
    std::memcpy(&out[at + 12], &type, 4);
    if (!value.empty()) std::memcpy(&out[at + kHeader], value.data(), value.size());
  }
  if (in.one_in(4)) out.resize(in.below(static_cast<uint32_t>(out.size()) + 1));
  return out;
}

// What is said to the kernel is there as it was said, and nothing behind it.
void say(Random& in) {
  auto size = static_cast<uint16_t>(in.below(65536));
  for (bool behind_another : {false, true}) {
    msghdr header{};
    size_t room = (behind_another ? CMSG_SPACE(1) : 0) + CMSG_SPACE(sizeof size);
    auto exact = std::make_unique<uint8_t[]>(room);
    header.msg_control = exact.get();
    if (behind_another) append_control(&header, room, IPPROTO_IP, IP_TOS, uint8_t{3});
    size_t at = header.msg_controllen;
    append_control(&header, room, SOL_UDP, UDP_SEGMENT, size);
    must(header.msg_controllen == room, "two messages fill the room for two");
    uint64_t length;
    int32_t kind[2];
    uint16_t value;
    std::memcpy(&length, &exact[at], 8);
    std::memcpy(kind, &exact[at + 8], 8);
    std::memcpy(&value, &exact[at + kHeader], 2);
    must(length == kHeader + 2 && kind[0] == 17 && kind[1] == 103 && value == size,
         "the segment size is said");
  }
}

}  // namespace

void run(Random& in) {
  if (in.one_in(16)) return say(in);
  if (in.one_in(2)) return check(messages(in));
  std::span<const uint8_t> bytes = in.bytes(in.left());
  check({bytes.begin(), bytes.end()});
}

}  // namespace ksocket::fuzz
