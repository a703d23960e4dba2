#include "core/tunnel/segmentation.h"

#include <gtest/gtest.h>

#include "core/tunnel/vxlan.h"
#include "support/frames.h"
#include "support/random.h"

namespace ksocket {
namespace {

using test::Frame;
using test::FrameOptions;
using test::make_frame;

// As the kernel hands it over: the checksum field has the sum of the pseudo header.
Frame joined(const FrameOptions& o) {
  Frame frame = make_frame(o);
  test::set16(&frame, test::transport_checksum_at(o), test::plain_transport_sum(frame, o, false));
  return frame;
}

VnetHeader header_of(const FrameOptions& o, uint16_t gso_size) {
  uint8_t type = o.protocol == kUdp ? kGsoUdp : o.version == 4 ? kGsoTcpV4 : kGsoTcpV6;
  return {kNeedsChecksum,
          type,
          static_cast<uint16_t>(test::places_of(o).payload),
          gso_size,
          static_cast<uint16_t>(test::places_of(o).transport),
          static_cast<uint16_t>(o.protocol == kUdp ? 6 : 16)};
}

std::vector<Frame> segments_of(const VnetHeader& header, Frame frame, std::span<const uint8_t> prefix = {}) {
  auto segmentation = Segmentation::of(header, frame);
  if (!segmentation) return {};
  Frame all(segmentation->bytes(static_cast<uint32_t>(prefix.size())));
  segmentation->write(prefix, all.data());
  std::vector<Frame> out;
  size_t each = prefix.size() + segmentation->frame_bytes();
  for (size_t at = 0; at < all.size(); at += each)
    out.emplace_back(all.begin() + static_cast<ptrdiff_t>(at),
                     all.begin() + static_cast<ptrdiff_t>(std::min(all.size(), at + each)));
  EXPECT_EQ(out.size(), segmentation->count());
  return out;
}

// What each frame is by the book.
std::vector<Frame> expected(const FrameOptions& o, size_t gso_size) {
  std::vector<Frame> out;
  Frame whole = make_frame(o);
  size_t payload = test::places_of(o).payload;
  for (size_t at = 0; at < o.payload_bytes; at += gso_size) {
    FrameOptions each = o;
    each.payload_bytes = std::min(gso_size, o.payload_bytes - at);
    each.id = o.id + static_cast<uint32_t>(out.size());
    each.sequence = o.sequence + static_cast<uint32_t>(at);
    bool last = at + gso_size >= o.payload_bytes;
    if (!last) each.flags &= static_cast<uint8_t>(~(tcp::kFin | tcp::kPsh));
    if (at > 0) each.flags &= static_cast<uint8_t>(~tcp::kCwr);
    Frame frame = make_frame(each);
    for (size_t i = 0; i < each.payload_bytes; i++) frame[payload + i] = whole[payload + at + i];
    test::set_checksums(&frame, each);
    out.push_back(frame);
  }
  return out;
}

TEST(Segmentation, frames_are_what_the_book_says) {
  for (int version : {4, 6}) {
    for (uint8_t protocol : {kTcp, kUdp}) {
      for (int tags : {0, 1, 2}) {
        for (size_t payload_bytes : {1u, 99u, 100u, 101u, 1000u, 1399u, 60000u}) {
          FrameOptions o{.version = version,
                         .protocol = protocol,
                         .tags = tags,
                         .id = 65530,
                         .sequence = 0xfffffff0,
                         .flags = 0x10 | 0x08 | 0x01 | 0x80,
                         .payload_bytes = payload_bytes};
          EXPECT_EQ(segments_of(header_of(o, 100), joined(o)), expected(o, 100))
              << version << " " << int{protocol} << " " << payload_bytes;
        }
      }
    }
  }
}

TEST(Segmentation, each_frame_is_behind_the_prefix) {
  FrameOptions o{.payload_bytes = 250};
  uint8_t prefix[kVxlanBytes];
  write_vxlan(7, prefix);
  std::vector<Frame> frames = segments_of(header_of(o, 100), joined(o), prefix);
  std::vector<Frame> bare = expected(o, 100);
  ASSERT_EQ(frames.size(), 3u);
  for (size_t i = 0; i < 3; i++) {
    EXPECT_EQ(Frame(frames[i].begin(), frames[i].begin() + 8), Frame(prefix, prefix + 8));
    EXPECT_EQ(Frame(frames[i].begin() + 8, frames[i].end()), bare[i]);
  }
}

TEST(Segmentation, a_single_frame_gets_its_checksum) {
  for (int version : {4, 6}) {
    for (uint8_t protocol : {kTcp, kUdp}) {
      FrameOptions o{.version = version, .protocol = protocol, .payload_bytes = 33};
      VnetHeader header = header_of(o, 0);
      header.gso_type = kGsoNone;
      EXPECT_EQ(segments_of(header, joined(o)), std::vector<Frame>{make_frame(o)});
    }
  }
}

TEST(Segmentation, a_frame_that_needs_nothing_is_as_it_was) {
  Frame arp(42, 7);
  EXPECT_EQ(segments_of({}, arp), std::vector<Frame>{arp});
}

TEST(Segmentation, a_udp_checksum_of_nought_is_written_as_ones) {
  FrameOptions o{.protocol = kUdp, .payload_bytes = 2};
  Frame frame = make_frame(o);
  size_t payload = test::places_of(o).payload;
  test::set16(&frame, payload, 0);
  test::set_checksums(&frame, o);
  // With its own checksum as payload the sum is all ones, and the checksum none.
  test::set16(&frame, payload, test::get16(frame, test::transport_checksum_at(o)));
  test::set16(&frame, test::transport_checksum_at(o), test::plain_transport_sum(frame, o, false));
  VnetHeader header = header_of(o, 0);
  header.gso_type = kGsoNone;
  std::vector<Frame> made = segments_of(header, frame);
  ASSERT_EQ(made.size(), 1u);
  EXPECT_EQ(test::get16(made[0], test::transport_checksum_at(o)), 0xffffu);
}

TEST(Segmentation, a_header_that_does_not_fit_the_frame_is_refused) {
  FrameOptions o{.payload_bytes = 1000};
  Frame frame = joined(o);
  VnetHeader right = header_of(o, 100), wrong = right;
  EXPECT_TRUE(Segmentation::of(right, frame));
  wrong.gso_size = 0;
  EXPECT_FALSE(Segmentation::of(wrong, frame));
  for (uint8_t type : {uint8_t{kGsoTcpV6}, uint8_t{kGsoUdp}, uint8_t{3}, uint8_t{77}}) {
    wrong = right;
    wrong.gso_type = type;
    EXPECT_FALSE(Segmentation::of(wrong, frame)) << int{type};
  }
  for (size_t bytes = 0; bytes < frame.size(); bytes++)
    EXPECT_FALSE(Segmentation::of(right, {frame.data(), bytes})) << bytes;
  VnetHeader outside{kNeedsChecksum, kGsoNone, 0, 0, static_cast<uint16_t>(frame.size() - 1), 0};
  EXPECT_FALSE(Segmentation::of(outside, frame));
  outside.checksum_start = 34, outside.checksum_offset = 65535;
  EXPECT_FALSE(Segmentation::of(outside, frame));
}

TEST(Segmentation, whatever_header_and_frame_say_no_byte_is_touched_beside_them) {
  test::Random random(4);
  uint32_t divided = 0;
  for (int i = 0; i < 20000; i++) {
    FrameOptions o{.version = random.one_in(2) ? 4 : 6,
                   .protocol = random.one_in(2) ? kTcp : kUdp,
                   .tags = static_cast<int>(random.below(3)),
                   .payload_bytes = random.below(400)};
    Frame frame = joined(o);
    VnetHeader header = header_of(o, static_cast<uint16_t>(random.below(200)));
    if (random.one_in(4)) header.gso_type = static_cast<uint8_t>(random.below(7));
    if (random.one_in(4)) header.checksum_start = static_cast<uint16_t>(random());
    if (random.one_in(4)) header.checksum_offset = static_cast<uint16_t>(random());
    for (uint32_t hits = random.below(3); hits > 0; hits--)
      frame[random.below(static_cast<uint32_t>(frame.size()))] = static_cast<uint8_t>(random());
    if (random.one_in(3)) frame.resize(random.below(static_cast<uint32_t>(frame.size()) + 1));
    frame.shrink_to_fit();  // AddressSanitizer sees the byte behind it
    divided += segments_of(header, frame).size() > 1;
  }
  EXPECT_GT(divided, 1000u);
}

}  // namespace
}  // namespace ksocket
