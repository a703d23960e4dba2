#include "core/tunnel/frame.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/tunnel/vxlan.h"
#include "support/frames.h"
#include "support/random.h"

namespace ksocket {
namespace {

using test::Frame;
using test::FrameOptions;
using test::make_frame;

// Many bits set: carries.
Frame bytes_with_carries(test::Random& random, size_t bytes) {
  Frame out(bytes);
  for (uint8_t& each : out) each = random.one_in(2) ? 0xff : static_cast<uint8_t>(random());
  return out;
}

uint16_t stored_of(Sum sum) {
  Frame stored(2);
  store_checksum(stored.data(), sum);
  return test::get16(stored, 0);
}

TEST(Checksum, is_that_of_the_plain_reference_at_each_length) {
  test::Random random(1);
  for (size_t bytes = 0; bytes < 300; bytes++) {
    Frame data = bytes_with_carries(random, bytes);
    EXPECT_EQ(stored_of(sum_of(data.data(), bytes)), (~test::plain_sum(data, 0, bytes) & 0xffff)) << bytes;
  }
}

TEST(Checksum, of_what_is_copied_is_the_same_and_the_copy_ends_where_it_should) {
  test::Random random(2);
  for (size_t bytes = 0; bytes < 300; bytes++) {
    Frame data = bytes_with_carries(random, bytes), copy(bytes + 2, 0xa5);
    Sum sum = copied_sum(copy.data() + 1, data.data(), bytes);
    EXPECT_EQ(stored_of(sum), (~test::plain_sum(data, 0, bytes) & 0xffff)) << bytes;
    EXPECT_TRUE(std::equal(data.begin(), data.end(), copy.begin() + 1)) << bytes;
    EXPECT_TRUE(copy.front() == 0xa5 && copy.back() == 0xa5) << bytes;
  }
}

TEST(Checksum, wide_blocks_sum_and_copy_as_plain_ones_do) {
  checksum::Blocks wide = checksum::wide_blocks();
#if defined(__x86_64__)
  ASSERT_EQ(wide != nullptr, __builtin_cpu_supports("avx2") != 0);
#else
  ASSERT_EQ(wide, nullptr);
#endif
  test::Random random(3);
  for (size_t blocks = 0; blocks < 200; blocks++) {
    size_t bytes = blocks * checksum::kBlockBytes, shift = random.below(64);
    Frame data = bytes_with_carries(random, bytes + shift), copy(bytes + 1, 0xa5);
    const uint8_t* from = data.data() + shift;
    Sum sum = checksum::plain_blocks(copy.data(), from, blocks);
    EXPECT_EQ(stored_of(sum), (~test::plain_sum(data, shift, shift + bytes) & 0xffff)) << blocks;
    EXPECT_TRUE(std::equal(from, from + bytes, copy.begin()) && copy.back() == 0xa5) << blocks;
    if (wide == nullptr) continue;
    Frame wider(bytes + 1, 0xa5);
    EXPECT_EQ(stored_of(wide(wider.data(), from, blocks)), stored_of(sum)) << blocks;
    EXPECT_EQ(wider, copy) << blocks;
    EXPECT_EQ(stored_of(wide(nullptr, from, blocks)), stored_of(sum)) << blocks;
  }
}

TEST(Frame, layout_has_the_places_of_its_headers) {
  for (int version : {4, 6}) {
    for (uint8_t protocol : {kTcp, kUdp}) {
      for (int tags : {0, 1, 2}) {
        FrameOptions o{.version = version, .protocol = protocol, .tags = tags};
        Frame frame = make_frame(o);
        FrameLayout layout = layout_of(frame);
        EXPECT_EQ(layout.version, version);
        EXPECT_EQ(layout.protocol, protocol);
        EXPECT_EQ(layout.ip, test::places_of(o).ip);
        EXPECT_EQ(layout.transport, test::places_of(o).transport);
        EXPECT_EQ(layout.end, frame.size());
        EXPECT_TRUE(layout.plain && !layout.fragment);
      }
    }
  }
}

TEST(Frame, padding_is_behind_the_packet) {
  Frame frame = make_frame({.option_bytes = 0, .payload_bytes = 1});
  size_t end = frame.size();
  frame.resize(60);
  EXPECT_EQ(layout_of(frame).end, end);
}

TEST(Frame, one_that_is_cut_has_no_packet) {
  for (int version : {4, 6}) {
    Frame whole = make_frame({.version = version, .tags = 1});
    for (size_t bytes = 0; bytes < whole.size(); bytes++) {
      EXPECT_EQ(layout_of({whole.data(), bytes}).version, 0) << bytes;
    }
  }
}

TEST(Frame, a_fragment_has_no_transport) {
  Frame frame = make_frame({});
  test::set16(&frame, 14 + 6, 0x2000);
  EXPECT_TRUE(layout_of(frame).fragment);
  EXPECT_EQ(layout_of(frame).transport, 0);
  test::set16(&frame, 14 + 6, 0x0010);
  EXPECT_EQ(layout_of(frame).transport, 0);
}

TEST(Frame, transport_is_behind_the_extension_headers) {
  Frame frame = make_frame({.version = 6, .protocol = kUdp});
  size_t at = 14 + 40;
  frame[14 + 6] = 60;  // destination options
  Frame extension = {kUdp, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  frame.insert(frame.begin() + static_cast<ptrdiff_t>(at), extension.begin(), extension.end());
  test::set16(&frame, 14 + 4, static_cast<uint32_t>(frame.size() - at));
  FrameLayout layout = layout_of(frame);
  EXPECT_EQ(layout.transport, at + 16);
  EXPECT_FALSE(layout.plain);
  frame[14 + 40 + 1] = 255;  // longer than the packet
  EXPECT_EQ(layout_of(frame).transport, 0);
}

TEST(Frame, no_bytes_are_read_that_are_not_there) {
  test::Random random(2);
  for (int i = 0; i < 20000; i++) {
    Frame frame = make_frame({.version = random.one_in(2) ? 4 : 6,
                              .protocol = random.one_in(2) ? kTcp : kUdp,
                              .tags = static_cast<int>(random.below(3)),
                              .payload_bytes = random.below(40)});
    for (uint32_t hits = random.below(4); hits > 0; hits--)
      frame[random.below(static_cast<uint32_t>(frame.size()))] = static_cast<uint8_t>(random());
    // Of its own size, so that AddressSanitizer sees one byte more.
    std::vector<uint8_t> cut(frame.begin(),
                             frame.begin() + random.below(static_cast<uint32_t>(frame.size()) + 1));
    cut.shrink_to_fit();
    FrameLayout layout = layout_of(cut);
    if (layout.version == 0) continue;
    EXPECT_LE(layout.end, cut.size());
    EXPECT_LT(layout.ip, layout.end);
    EXPECT_TRUE(layout.transport == 0 || layout.transport < layout.end);
  }
}

TEST(Vxlan, header_is_that_of_rfc_7348) {
  Frame header(8);
  write_vxlan(0x123456, header.data());
  EXPECT_EQ(header, (Frame{0x08, 0, 0, 0, 0x12, 0x34, 0x56, 0}));
  EXPECT_EQ(check_vxlan(header, 0x123456), Vxlan::valid);
  EXPECT_EQ(check_vxlan(header, 0x123457), Vxlan::other_vni);
  header[7] = 9, header[1] = 1;  // reserved
  EXPECT_EQ(check_vxlan(header, 0x123456), Vxlan::valid);
  header[0] = 0;  // no VNI
  EXPECT_EQ(check_vxlan(header, 0x123456), Vxlan::malformed);
  header[0] = 8;
  EXPECT_EQ(check_vxlan({header.data(), 7}, 0x123456), Vxlan::malformed);
}

}  // namespace
}  // namespace ksocket
