#include "core/xdp/emit_entry.h"

#include <algorithm>

#include "core/xdp/emit.h"

namespace ksocket::xdp {

namespace {

int32_t word_at(const uint8_t* bytes, size_t at) {
  return word_of(bytes + at);
}

// To the interface's own address; from that of one machine, which an answer can go back to.
void emit_hardware(Assembler& out, const Entry& entry, Label foreign) {
  out.load(Size::word, r0, kFrame, 0);
  out.jump_if32(r0, Condition::not_equal, word_at(entry.hardware.data(), 0), foreign);
  out.load(Size::half, r0, kFrame, 4);
  out.jump_if(r0, Condition::not_equal, half_of(entry.hardware.data() + 4), foreign);
  if (!entry.from_machines) return;
  out.load(Size::byte, r0, kFrame, 6);
  out.jump_if(r0, Condition::any_bit, 1, foreign);
  out.load(Size::word, r0, kFrame, 6);
  out.load(Size::half, r1, kFrame, 10);
  out.alu(Alu::bit_or, r0, r1);
  out.jump_if(r0, Condition::equal, 0, foreign);
}

// The context is the kernel's struct xdp_buff, behind whose memory stands what is known of the frame.
void emit_joined(Assembler& out, const JoinedFrames& joined, Label is_joined) {
  constexpr int32_t kBuffer = -128, kBufferBytes = 72, kSize = -136;
  auto read = [&](int32_t to, int32_t bytes) {  // from r3
    out.move(r1, Register::fp);
    out.alu(Alu::add, r1, to);
    out.move(r2, bytes);
    out.call(Helper::probe_read_kernel);
    out.jump_if(r0, Condition::not_equal, 0, is_joined);
  };
  out.move(r3, kContext);
  read(kBuffer, kBufferBytes);
  out.load(Size::doubleword, r3, Register::fp, kBuffer + static_cast<int32_t>(joined.hard_start));
  out.load(Size::word, r1, Register::fp, kBuffer + static_cast<int32_t>(joined.frame_bytes));
  out.alu(Alu::add, r3, r1);
  out.alu(Alu::sub, r3, static_cast<int32_t>(joined.from_end));
  read(kSize, 2);
  out.load(Size::half, r1, Register::fp, kSize);
  out.jump_if(r1, Condition::not_equal, 0, is_joined);
}

void emit_way(Assembler& out, const Entry& entry, uint32_t server, Label foreign) {
  if (entry.joined) {
    Label joined = out.label(), single = out.label();
    emit_joined(out, *entry.joined, joined);
    out.jump(single);
    out.bind(joined);
    emit_tail_call(out, MapId::servers, left_place(server), foreign);
    out.bind(single);
  }
  emit_tail_call(out, MapId::servers, first_place(server), foreign);
}

// UDP of this family to a server; what else is to be looked at its own programs look at. `address_at`: where
// the frame says to whom.
template <class AddressOf>
void emit_family(Assembler& out, const Entry& entry, std::vector<Entry::Way> ways, int32_t address_at,
                 int32_t port_at, AddressOf&& address_of, Label foreign) {
  std::stable_partition(ways.begin(), ways.end(),
                        [&](const Entry::Way& way) { return address_of(way.route).has_value(); });
  out.load(Size::half, r2, kFrame, port_at);
  for (const Entry::Way& way : ways) {
    Label next = out.label();
    out.jump_if(r2, Condition::not_equal, network_half(way.route.port), next);
    if (const auto& address = address_of(way.route)) {
      for (size_t at = 0; at < address->size(); at += 4) {
        out.load(Size::word, r0, kFrame, address_at + static_cast<int32_t>(at));
        out.jump_if32(r0, Condition::not_equal, word_at(address->data(), at), next);
      }
    }
    emit_way(out, entry, way.server, foreign);
    out.bind(next);
  }
  out.jump(foreign);
}

std::vector<Entry::Way> ways_of(const Entry& entry, bool Route::*family) {
  std::vector<Entry::Way> out;
  std::ranges::copy_if(entry.ways, std::back_inserter(out),
                       [&](const Entry::Way& way) { return way.route.*family; });
  return out;
}

}  // namespace

bool Route::meets(const Route& other) const {
  if (port != other.port) return false;
  auto same = [](bool both, const auto& one, const auto& another) { return both && one == another; };
  return same(ipv4 && other.ipv4, ipv4_address, other.ipv4_address) ||
         same(ipv6 && other.ipv6, ipv6_address, other.ipv6_address);
}

Program compile_entry(const Entry& entry) {
  Assembler out;
  Label foreign = out.label(), ipv6 = out.label();
  constexpr int32_t kIp = kEthernetBytes;
  out.move(kContext, r1);
  out.load(Size::word, kFrame, kContext, offsetof(xdp_md, data));
  out.load(Size::word, kFrameEnd, kContext, offsetof(xdp_md, data_end));
  emit_frame_room(out, kIp + kIpv4Bytes + kUdpBytes, foreign);
  emit_hardware(out, entry, foreign);
  out.load(Size::half, r0, kFrame, 12);
  out.jump_if(r0, Condition::equal, network_half(kEthertypeIpv6), ipv6);
  out.jump_if(r0, Condition::not_equal, network_half(kEthertypeIpv4), foreign);
  out.load(Size::byte, r0, kFrame, kIp);
  out.jump_if(r0, Condition::not_equal, 0x45, foreign);
  out.load(Size::byte, r0, kFrame, kIp + 9);
  out.jump_if(r0, Condition::not_equal, kProtocolUdp, foreign);
  emit_family(
      out, entry, ways_of(entry, &Route::ipv4), kIp + 16, kIp + kIpv4Bytes + 2,
      [](const Route& route) -> const auto& { return route.ipv4_address; }, foreign);
  out.bind(ipv6);
  emit_frame_room(out, kIp + kIpv6Bytes + kUdpBytes, foreign);
  out.load(Size::byte, r0, kFrame, kIp + 6);
  out.jump_if(r0, Condition::not_equal, kProtocolUdp, foreign);
  emit_family(
      out, entry, ways_of(entry, &Route::ipv6), kIp + 24, kIp + kIpv6Bytes + 2,
      [](const Route& route) -> const auto& { return route.ipv6_address; }, foreign);
  out.bind(foreign);
  out.move(r0, XDP_PASS);
  out.exit();
  return program_of(out, "ks_entry").value_or(Program{});
}

}  // namespace ksocket::xdp
