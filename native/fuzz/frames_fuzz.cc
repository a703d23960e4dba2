// Frames and headers of a tunnel, of any bytes: what is read of them lies within them, what is made of them
// has the length that was said, and what is written to the device are the bytes that came.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "core/tunnel/joiner.h"
#include "core/tunnel/mss.h"
#include "core/tunnel/segmentation.h"
#include "core/tunnel/vxlan.h"
#include "fuzz/support/fuzz.h"
#include "support/frames.h"

namespace ksocket::fuzz {

namespace {

constexpr uint32_t kBytesMax = 256;

// In memory of just its size.
struct Exact {
  std::unique_ptr<uint8_t[]> bytes;
  size_t size;

  explicit Exact(std::span<const uint8_t> of) : bytes(new uint8_t[of.size()]), size(of.size()) {
    std::copy(of.begin(), of.end(), bytes.get());
  }
  std::span<uint8_t> span() const { return {bytes.get(), size}; }
};

// One that is right, with some bytes changed and its end cut off or made longer; or any.
test::Frame frame_of(Random& in) {
  if (in.one_in(3)) {
    auto any = in.bytes(in.below(kBytesMax));
    return {any.begin(), any.end()};
  }
  test::FrameOptions o{.version = in.one_in(2) ? 6 : 4,
                       .protocol = static_cast<uint8_t>(in.one_in(2) ? 17 : 6),
                       .tags = static_cast<int>(in.below(3)),
                       .flags = static_cast<uint8_t>(in.below(256)),
                       .option_bytes = in.below(4) * 4,
                       .payload_bytes = in.below(60)};
  test::Frame out = test::make_frame(o);
  for (uint32_t changes = in.below(4); changes > 0; changes--)
    out[in.below(static_cast<uint32_t>(out.size()))] = static_cast<uint8_t>(in.below(256));
  if (in.one_in(4)) out.resize(in.below(kBytesMax));
  return out;
}

void check_layout(std::span<const uint8_t> frame) {
  FrameLayout layout = layout_of(frame);
  if (layout.version == 0) return;
  must(layout.ip >= kEthernetBytes && layout.end <= frame.size(), "the packet lies within the frame");
  must(frame[layout.ip] >> 4 == layout.version, "the version is the packet's");
  if (layout.transport == 0) return;
  must(!layout.fragment && layout.transport > layout.ip, "a transport header is behind that of IP");
  uint32_t bytes = layout.protocol == kTcp ? tcp_header_bytes(&frame[layout.transport]) : 8;
  must(bytes >= 8 && layout.transport + bytes <= layout.end, "a transport header is whole");
}

void check_segmentation(Random& in, std::span<uint8_t> frame) {
  VnetHeader header{static_cast<uint8_t>(in.below(4)),      static_cast<uint8_t>(in.below(256)),
                    static_cast<uint16_t>(in.below(65536)), static_cast<uint16_t>(in.below(200)),
                    static_cast<uint16_t>(in.below(300)),   static_cast<uint16_t>(in.below(40))};
  if (in.one_in(2)) header.gso_type = std::array<uint8_t, 4>{0, 1, 4, 5}[in.below(4)];
  auto segmentation = Segmentation::of(header, frame);
  if (!segmentation) return;
  must(segmentation->count() > 0, "something is left of a frame");
  uint8_t prefix[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  size_t bytes = segmentation->bytes(sizeof prefix);
  std::unique_ptr<uint8_t[]> out(new uint8_t[bytes]);
  segmentation->write(prefix, out.get());
  uint32_t each = segmentation->frame_bytes() + static_cast<uint32_t>(sizeof prefix), count = 0;
  for (size_t at = 0; at < bytes; at += each, count++) {
    must(bytes - at > sizeof prefix, "no frame is without bytes");
    must(std::memcmp(&out[at], prefix, sizeof prefix) == 0, "the prefix is before each frame");
  }
  must(count == segmentation->count(), "so many frames as were said, all but the last of one length");
}

void check_clamp(Random& in, std::span<uint8_t> frame) {
  test::Frame before(frame.begin(), frame.end());
  clamp_mss(frame, in.below(1600));
  int changed = 0;
  for (size_t i = 0; i < before.size(); i++) changed += before[i] != frame[i];
  must(changed <= 4, "but for the number and the checksum all stays");
}

void check_joiner(Random& in) {
  static Joiner joiner;
  std::vector<Exact> frames;
  size_t bytes = 0, written = 0;
  uint32_t count = 0;
  for (uint32_t n = in.below(4); n > 0; n--) frames.emplace_back(frame_of(in));
  for (const Exact& frame : frames) {
    joiner.add(frame.span(), in.below(200), static_cast<uint16_t>(in.below(100)));
    bytes += frame.size;
  }
  joiner.take([&](const Joiner::Write& write) {
    must(write.pieces.size() > 1 && write.pieces[0].iov_len == sizeof(VnetHeader), "a header is before all");
    size_t length = 0;
    for (const iovec& piece : write.pieces.subspan(1)) length += piece.iov_len;
    must(write.frames == 1 ? length == write.bytes : length < write.bytes,
         "what is joined has its headers once");
    written += write.bytes, count += write.frames;
  });
  must(written == bytes && count == frames.size(), "all that came is written");
}

}  // namespace

void run(Random& in) {
  Exact frame(frame_of(in));
  check_vxlan(frame.span(), in.below(3));
  check_layout(frame.span());
  check_clamp(in, frame.span());
  check_segmentation(in, frame.span());
  check_joiner(in);
}

}  // namespace ksocket::fuzz
