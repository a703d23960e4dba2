#include "core/tunnel/mss.h"

#include <gtest/gtest.h>

#include "support/frames.h"

namespace ksocket {
namespace {

using test::Frame;
using test::FrameOptions;

// A frame that begins a connection, with these options of TCP's.
Frame syn(FrameOptions o, const Frame& options) {
  o.flags |= 2;
  o.option_bytes = 12;
  o.payload_bytes = 0;
  Frame out = test::make_frame(o);
  std::copy(options.begin(), options.end(),
            out.begin() + static_cast<long>(test::places_of(o).transport) + 20);
  test::set_checksums(&out, o);
  return out;
}

Frame clamped(Frame frame, uint32_t mtu) {
  clamp_mss(frame, mtu);
  return frame;
}

TEST(Mss, is_made_no_larger_than_fits_with_a_right_checksum) {
  for (int version : {4, 6}) {
    for (int tags : {0, 2}) {
      FrameOptions o{.version = version, .tags = tags};
      uint32_t fits = 1450 - (version == 4 ? 40 : 60);
      auto of = [](uint32_t mss) {
        return Frame{1, 1, 2, 4, static_cast<uint8_t>(mss >> 8), static_cast<uint8_t>(mss)};
      };
      EXPECT_EQ(clamped(syn(o, of(8960)), 1450), syn(o, of(fits)));
      EXPECT_EQ(clamped(syn(o, of(fits)), 1450), syn(o, of(fits)));
      EXPECT_EQ(clamped(syn(o, of(536)), 1450), syn(o, of(536)));
    }
  }
}

TEST(Mss, other_frames_stay_as_they_are) {
  Frame told{2, 4, 0x23, 0};
  Frame no_syn = syn({}, told);
  no_syn[34 + 13] = 0x10;
  Frame fragment = syn({}, told);
  fragment[14 + 6] = 0x20;
  Frame udp = test::make_frame({.protocol = 17});
  for (const Frame& frame : {no_syn, fragment, udp, Frame(14), Frame{}})
    EXPECT_EQ(clamped(frame, 1450), frame);
  EXPECT_EQ(clamped(syn({}, told), 40), syn({}, told)) << "no room for any";
}

TEST(Mss, options_that_are_broken_stay) {
  for (const Frame& options : std::initializer_list<Frame>{{2, 3, 0x23, 0},
                                                           {2, 5, 0x23, 0},
                                                           {8, 0, 2, 4, 0x23, 0},
                                                           {8, 1, 2, 4, 0x23, 0},
                                                           {0, 2, 4, 0x23, 0},
                                                           {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2},
                                                           {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4},
                                                           {3, 200, 2, 4, 0x23, 0}}) {
    EXPECT_EQ(clamped(syn({}, options), 1450), syn({}, options));
  }
}

TEST(Mss, a_checksum_that_is_wrong_or_still_to_be_made_stays) {
  Frame frame = syn({}, {2, 4, 0x23, 0});
  frame[34 + 16] ^= 0x55;
  Frame out = clamped(frame, 1450);
  EXPECT_EQ(test::get16(out, 34 + 22), 1410u);
  EXPECT_EQ(test::get16(out, 34 + 16), test::get16(frame, 34 + 16));
}

}  // namespace
}  // namespace ksocket
