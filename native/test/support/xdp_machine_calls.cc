// The kernel's functions for programs, bpf-helpers(7), as far as XdpMachine's need them.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "support/xdp_machine.h"

namespace ksocket::test {

namespace {

constexpr uint32_t kSumBytesMax = 512;

bool has_prefix(const std::vector<uint8_t>& network, const std::vector<uint8_t>& address) {
  uint32_t bits;
  std::memcpy(&bits, network.data(), sizeof bits);
  for (uint32_t i = 0; i < bits; i++) {
    if ((network[4 + i / 8] ^ address[4 + i / 8]) >> (7 - i % 8) & 1) return false;
  }
  return true;
}

uint64_t word_at(const uint8_t* from) {
  uint32_t out;
  std::memcpy(&out, from, sizeof out);
  return out;
}

}  // namespace

// Of an array the element, of an LPM trie the most specific network.
uint8_t* XdpMachine::value_of(Map& map, const Bytes& key) {
  if (map.is_array()) return map.element(static_cast<uint32_t>(word_at(key.data())));
  if (map.spec.type != BPF_MAP_TYPE_LPM_TRIE) {
    auto found = map.values.find(key);
    return found != map.values.end() ? found->second->data() : nullptr;
  }
  uint8_t* out = nullptr;
  uint64_t best = 0;
  for (const auto& [network, value] : map.values) {
    if (!has_prefix(network, key) || (out != nullptr && word_at(network.data()) < best)) continue;
    best = word_at(network.data());
    out = value->data();
  }
  return out;
}

void XdpMachine::call(int32_t helper) {
  uint64_t* r = registers_;
  place_++;
  if (helper == 12) {  // tail_call
    if (const Map* map = map_of(r[2])) tail_call(map->spec.id, r[3]);
    return;
  }
  switch (helper) {
    case 1:
    case 2: {
      Map* map = map_of(r[1]);
      const uint8_t* key = map != nullptr ? memory(r[2], map->spec.key_size) : nullptr;
      if (key == nullptr) return;
      Bytes name(key, key + map->spec.key_size);
      uint8_t* found = value_of(*map, name);
      if (helper == 1) {
        r[0] = reinterpret_cast<uintptr_t>(found);
      } else if (const uint8_t* value = memory(r[3], map->spec.value_size)) {
        if (found == nullptr || r[4] == BPF_ANY)
          set(map->spec.id, name, Bytes(value, value + map->spec.value_size));
        r[0] = 0;
      }
      break;
    }
    case 28:
      r[0] = r[2] == 0 ? checksum(r[3], r[4], r[5]) : fail("from somewhere");
      break;
    case 65:
      r[0] = adjust_tail(static_cast<int32_t>(r[2]));
      break;
    case 113:
      r[0] = read_kernel(r[1], r[2], r[3]);
      break;
    case 163:
      r[0] = 0;
      break;  // check_mtu
    case 188:
      r[0] = frame_bytes_;
      break;
    case 189:
    case 190:
      r[0] = copy(helper == 190, r[2], r[3], r[4]);
      break;
    default:
      fail("an unknown function");
      break;
  }
  // Whatever a function leaves there.
  for (int i = 1; i <= 5; i++) r[i] = 0xbadbadbadbadbad;
}

void XdpMachine::tail_call(xdp::MapId map, uint64_t place) {
  if (map == xdp::MapId::servers) {
    program_ = place == xdp::first_place(0) ? compiled_.programs.data() : &compiled_.left;
  } else {
    if (place == 0 || place >= compiled_.programs.size()) return;
    program_ = &compiled_.programs[place];
  }
  place_ = 0;
}

// A kernel in which there are a struct xdp_buff, and what ends the memory of its frame.
uint64_t XdpMachine::read_kernel(uint64_t to, uint64_t bytes, uint64_t from) {
  constexpr uint64_t kStart = 0x1234'5678'0000;
  constexpr uint32_t kFrameBytes = 2048;
  uint8_t* out = memory(to, bytes);
  if (out == nullptr || !layout_) return static_cast<uint64_t>(-EFAULT);
  if (from == kContextAddress && bytes >= 72) {
    std::memset(out, 0xee, bytes);
    std::memcpy(out + layout_->hard_start, &kStart, sizeof kStart);
    std::memcpy(out + layout_->frame_bytes, &kFrameBytes, sizeof kFrameBytes);
    return 0;
  }
  if (from != kStart + kFrameBytes - layout_->from_end || bytes != 2) return static_cast<uint64_t>(-EFAULT);
  std::memcpy(out, &joined_, sizeof joined_);
  return 0;
}

uint64_t XdpMachine::checksum(uint64_t address, uint64_t bytes, uint64_t seed) {
  if (bytes % 4 != 0 || bytes > kSumBytesMax) return fail("a sum of " + std::to_string(bytes) + " bytes");
  const uint8_t* from = memory(address, bytes);
  if (from == nullptr) return 0;
  uint64_t sum = static_cast<uint32_t>(seed);
  for (uint64_t at = 0; at < bytes; at += 4) sum += word_at(from + at);
  while (sum >> 32 != 0) sum = (sum & UINT32_MAX) + (sum >> 32);
  return sum;
}

uint64_t XdpMachine::adjust_tail(int32_t by) {
  int64_t bytes = static_cast<int64_t>(frame_bytes_) + by;
  if (bytes < 14 || bytes > static_cast<int64_t>(frame_.size())) return static_cast<uint64_t>(-EINVAL);
  for (int64_t at = static_cast<int64_t>(frame_bytes_); at < bytes; at++) frame_[static_cast<size_t>(at)] = 0;
  frame_bytes_ = static_cast<size_t>(bytes);
  return 0;
}

uint64_t XdpMachine::copy(bool to_frame, uint64_t offset, uint64_t address, uint64_t bytes) {
  uint8_t* other = memory(address, bytes);
  if (other == nullptr) return 0;
  if (bytes == 0 || offset > frame_bytes_ || bytes > frame_bytes_ - offset)
    return static_cast<uint64_t>(-EINVAL);
  uint8_t* inside = frame_.data() + offset;
  std::memcpy(to_frame ? inside : other, to_frame ? other : inside, bytes);
  return 0;
}

}  // namespace ksocket::test
