#include "core/tunnel/mss.h"

#include <cstring>

#include "core/tunnel/frame.h"

namespace ksocket {

namespace {

enum TcpOption : uint8_t { kEnd = 0, kNothing = 1, kMss = 2 };
constexpr uint32_t kMssBytes = 4;

// Where the number stands; 0: nowhere.
uint32_t find_mss(const uint8_t* header, uint32_t header_bytes) {
  for (uint32_t at = tcp::kBytes; at < header_bytes && header[at] != kEnd;) {
    if (header[at] == kNothing) {
      at++;
      continue;
    }
    if (at + 2 > header_bytes || header[at + 1] < 2) return 0;
    if (header[at] == kMss) return header[at + 1] == kMssBytes && at + kMssBytes <= header_bytes ? at + 2 : 0;
    at += header[at + 1];
  }
  return 0;
}

}  // namespace

void clamp_mss(std::span<uint8_t> frame, uint32_t mtu) {
  FrameLayout layout = layout_of(frame);
  if (layout.transport == 0 || layout.protocol != kTcp) return;
  uint8_t* header = frame.data() + layout.transport;
  uint32_t headers = (layout.version == 4 ? ipv4::kBytes : ipv6::kBytes) + tcp::kBytes;
  if ((header[tcp::kFlags] & tcp::kSyn) == 0 || mtu <= headers) return;
  uint32_t at = find_mss(header, tcp_header_bytes(header));
  uint32_t most = mtu - headers, told = at == 0 ? 0 : load16(header + at);
  if (told <= most) return;
  uint32_t bytes = layout.end - layout.transport;
  auto sum = [&] { return folded(pseudo_header_sum(frame.data(), layout, bytes) + sum_of(header, bytes)); };
  // One that is broken stays so; of one that is still to be made, the sum of the pseudo header stays.
  bool right = sum() == UINT16_MAX;
  store16(header + at, static_cast<uint16_t>(most));
  if (!right) return;
  std::memset(header + tcp::kChecksum, 0, 2);
  store_checksum(header + tcp::kChecksum, sum());
}

}  // namespace ksocket
