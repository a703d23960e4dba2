#include "core/tunnel/joiner.h"

#include <gtest/gtest.h>

#include <map>

#include "core/tunnel/segmentation.h"
#include "support/frames.h"
#include "support/random.h"

namespace ksocket {
namespace {

using test::Frame;
using test::FrameOptions;
using test::make_frame;

struct Written {
  VnetHeader header;
  Frame frame;
  uint32_t frames;
};

std::vector<Written> take(Joiner* joiner) {
  std::vector<Written> out;
  joiner->take([&](const Joiner::Write& write) {
    Frame all;
    for (const iovec& piece : write.pieces) {
      auto* data = static_cast<const uint8_t*>(piece.iov_base);
      all.insert(all.end(), data, data + piece.iov_len);
    }
    Written& written = out.emplace_back();
    std::memcpy(&written.header, all.data(), sizeof written.header);
    written.frame.assign(all.begin() + sizeof written.header, all.end());
    written.frames = write.frames;
  });
  return out;
}

std::vector<Written> write(const std::vector<Frame>& frames) {
  Joiner joiner;
  for (const Frame& frame : frames) joiner.add(frame, 1500);
  return take(&joiner);
}

// What the kernel makes of what was written.
std::vector<Frame> split(const std::vector<Written>& writes) {
  std::vector<Frame> out;
  for (Written each : writes) {
    auto segmentation = Segmentation::of(each.header, each.frame);
    if (!segmentation) throw std::runtime_error("not to be split");
    Frame all(segmentation->bytes(0));
    segmentation->write({}, all.data());
    for (size_t at = 0; at < all.size(); at += segmentation->frame_bytes())
      out.emplace_back(all.begin() + static_cast<ptrdiff_t>(at),
                       all.begin() + static_cast<ptrdiff_t>(
                                         std::min<size_t>(all.size(), at + segmentation->frame_bytes())));
  }
  return out;
}

// `count` frames of a connection behind each other.
std::vector<Frame> run(FrameOptions o, int count) {
  std::vector<Frame> out;
  for (int i = 0; i < count; i++) {
    out.push_back(make_frame(o));
    o.id++;
    o.sequence += static_cast<uint32_t>(o.payload_bytes);
  }
  return out;
}

std::vector<uint32_t> counts(const std::vector<Written>& writes) {
  std::vector<uint32_t> out;
  for (const Written& each : writes) out.push_back(each.frames);
  return out;
}
using Counts = std::vector<uint32_t>;

TEST(Joiner, frames_of_a_connection_are_written_as_one) {
  for (int version : {4, 6}) {
    for (int tags : {0, 2}) {
      FrameOptions o{.version = version, .tags = tags};
      std::vector<Frame> frames = run(o, 5);
      std::vector<Written> writes = write(frames);
      ASSERT_EQ(counts(writes), Counts{5});
      FrameOptions whole = o;
      whole.payload_bytes = 500;
      const Written& only = writes[0];
      EXPECT_EQ(only.frame.size(), make_frame(whole).size());
      EXPECT_EQ(only.header.flags, kNeedsChecksum);
      EXPECT_EQ(only.header.gso_type, version == 4 ? kGsoTcpV4 : kGsoTcpV6);
      EXPECT_EQ(only.header.gso_size, 100);
      EXPECT_EQ(only.header.checksum_start, test::places_of(o).transport);
      EXPECT_EQ(only.header.checksum_offset, 16);
      EXPECT_EQ(test::get16(only.frame, test::transport_checksum_at(o)),
                test::plain_transport_sum(only.frame, whole, false));
      EXPECT_EQ(split(writes), frames);
    }
  }
}

TEST(Joiner, what_differs_is_not_joined) {
  FrameOptions o;
  auto with = [&](auto change) {
    std::vector<Frame> frames = run(o, 2);
    FrameOptions second = o;
    second.id++;
    second.sequence += 100;
    change(second);
    frames[1] = make_frame(second);
    return counts(write(frames));
  };
  EXPECT_EQ(with([](FrameOptions&) {}), (Counts{2}));
  EXPECT_EQ(with([](FrameOptions& b) { b.sequence++; }), (Counts{1, 1}));
  EXPECT_EQ(with([](FrameOptions& b) { b.id++; }), (Counts{1, 1}));
  EXPECT_EQ(with([](FrameOptions& b) { b.id--; }), (Counts{2}))
      << "it cannot be divided: its number says nothing";
  EXPECT_EQ(with([](FrameOptions& b) { b.dont_fragment = false; }), (Counts{1, 1}));
  EXPECT_EQ(with([](FrameOptions& b) { b.acknowledged++; }), (Counts{1, 1}));
  EXPECT_EQ(with([](FrameOptions& b) { b.window++; }), (Counts{1, 1}));
  EXPECT_EQ(with([](FrameOptions& b) { b.port++; }), (Counts{1, 1}));
  EXPECT_EQ(with([](FrameOptions& b) { b.option_bytes = 8; }), (Counts{1, 1}));
  EXPECT_EQ(with([](FrameOptions& b) { b.tags = 1; }), (Counts{1, 1}));
  EXPECT_EQ(with([](FrameOptions& b) { b.payload_bytes = 101; }), (Counts{1, 1}));
  EXPECT_EQ(with([](FrameOptions& b) { b.payload_bytes = 99; }), (Counts{2}));
  EXPECT_EQ(with([](FrameOptions& b) { b.payload_bytes = 0; }), (Counts{1, 1}));
  for (uint8_t flag : {tcp::kFin, tcp::kSyn, tcp::kRst, tcp::kUrg, tcp::kEce, tcp::kCwr})
    EXPECT_EQ(with([&](FrameOptions& b) { b.flags |= flag; }), (Counts{1, 1})) << int{flag};
}

TEST(Joiner, a_shorter_frame_or_one_that_is_to_be_pushed_is_the_last) {
  FrameOptions o;
  std::vector<Frame> frames = run(o, 3);
  FrameOptions pushed = o;
  pushed.id = 2, pushed.sequence = 1100, pushed.flags = 0x18;
  frames[1] = make_frame(pushed);
  std::vector<Written> writes = write(frames);
  EXPECT_EQ(counts(writes), (Counts{2, 1}));
  EXPECT_EQ(split(writes), frames);

  FrameOptions shorter = o;
  shorter.id = 2, shorter.sequence = 1100, shorter.payload_bytes = 60;
  FrameOptions next = o;
  next.id = 3, next.sequence = 1160, next.payload_bytes = 60;
  writes = write({frames[0], make_frame(shorter), make_frame(next)});
  EXPECT_EQ(counts(writes), (Counts{2, 1}));
}

TEST(Joiner, a_broken_checksum_is_left_for_who_gets_it) {
  for (size_t broken : {0u, 1u, 2u}) {
    std::vector<Frame> frames = run({}, 3);
    frames[broken].back() ^= 1;
    std::vector<Written> writes = write(frames);
    EXPECT_EQ(split(writes), frames) << broken;
    uint32_t alone = 0;
    for (const Written& each : writes) alone += each.frames == 1 && each.frame == frames[broken];
    EXPECT_EQ(alone, 1u) << broken;
  }
  std::vector<Frame> frames = run({}, 2);
  frames[1][14 + 10] ^= 1;  // IPv4's own
  EXPECT_EQ(counts(write(frames)), (Counts{1, 1}));
}

TEST(Joiner, padding_and_fragments_are_written_as_they_came) {
  std::vector<Frame> frames = run({.option_bytes = 0, .payload_bytes = 2}, 2);
  for (Frame& frame : frames) frame.resize(60);
  std::vector<Written> writes = write(frames);
  EXPECT_EQ(counts(writes), (Counts{1, 1}));
  EXPECT_EQ(writes[1].frame, frames[1]);

  frames = run({}, 3);
  test::set16(&frames[1], 14 + 6, 0x2000);
  EXPECT_EQ(counts(write(frames)), (Counts{1, 1, 1}));
}

TEST(Joiner, a_write_has_no_more_than_a_packet_may_have) {
  std::vector<Frame> frames = run({.payload_bytes = 1400}, 60);
  std::vector<Written> writes = write(frames);
  EXPECT_EQ(counts(writes), (Counts{46, 14}));  // 46 · 1400 + 52 ≤ 65535
  EXPECT_EQ(split(writes), frames);
}

TEST(Joiner, what_was_left_to_a_network_card_is_left_to_the_kernel) {
  for (uint8_t protocol : {kTcp, kUdp}) {
    FrameOptions o{.protocol = protocol};
    Frame finished = make_frame(o), frame = finished;
    test::set16(&frame, test::transport_checksum_at(o), test::plain_transport_sum(frame, o, false));
    std::vector<Written> writes = write({frame, frame});
    ASSERT_EQ(counts(writes), (Counts{1, 1}));
    EXPECT_EQ(split(writes), (std::vector<Frame>{finished, finished}));
    EXPECT_EQ(writes[0].header.gso_type, kGsoNone);
  }
  for (int version : {4, 6}) {
    FrameOptions o{.version = version, .payload_bytes = 60000};
    Frame frame = make_frame(o);
    test::set16(&frame, test::transport_checksum_at(o), test::plain_transport_sum(frame, o, false));
    std::vector<Written> writes = write({frame});
    ASSERT_EQ(counts(writes), Counts{1});
    std::vector<Frame> frames = split(writes);
    EXPECT_EQ(frames[0].size(), 14u + 1500u);
    size_t payload_bytes = 0;
    for (const Frame& each : frames) payload_bytes += each.size() - test::places_of(o).payload;
    EXPECT_EQ(payload_bytes, o.payload_bytes);
  }
}

TEST(Joiner, takes_up_its_work_anew_once_all_is_taken) {
  Joiner joiner;
  std::vector<Frame> frames = run({}, 4);
  joiner.add(frames[0], 1500);
  joiner.add(frames[1], 1500);
  EXPECT_EQ(counts(take(&joiner)), Counts{2});
  EXPECT_TRUE(take(&joiner).empty());
  joiner.add(frames[2], 1500);
  joiner.add(frames[3], 1500);
  EXPECT_EQ(counts(take(&joiner)), Counts{2});
}

// Any traffic: what the kernel makes of it is what came, and in the order of each connection.
TEST(Joiner, joined_and_split_again_every_connection_is_as_it_was) {
  test::Random random(3);
  uint32_t joined = 0;
  for (int round = 0; round < 400; round++) {
    std::vector<Frame> frames;
    std::map<uint32_t, std::vector<Frame>> by_port;
    std::vector<FrameOptions> flows(1 + random.below(5));
    for (size_t i = 0; i < flows.size(); i++) {
      flows[i].version = random.one_in(2) ? 4 : 6;
      flows[i].protocol = random.one_in(6) ? kUdp : kTcp;
      flows[i].source_port = 1000 + static_cast<uint32_t>(i);
      flows[i].sequence = random();
      flows[i].id = random();
      flows[i].dont_fragment = false;
    }
    for (uint32_t n = random.below(120); n > 0; n--) {
      FrameOptions& flow = flows[random.below(static_cast<uint32_t>(flows.size()))];
      FrameOptions now = flow;
      if (random.one_in(12)) now.payload_bytes = random.below(120);
      if (random.one_in(12)) now.flags |= static_cast<uint8_t>(1u << random.below(8));
      if (random.one_in(30)) flow.acknowledged++;
      now.first_byte = static_cast<uint8_t>(random());
      Frame frame = make_frame(now);
      if (random.one_in(25)) frame[frame.size() - 1] ^= 0x55;
      if (!random.one_in(20)) flow.sequence += static_cast<uint32_t>(now.payload_bytes);
      flow.id++;
      frames.push_back(frame);
      by_port[now.source_port].push_back(frame);
    }
    std::vector<Written> writes = write(frames);
    std::map<uint32_t, std::vector<Frame>> after;
    for (Frame& frame : split(writes)) {
      FrameLayout layout = layout_of(frame);
      after[test::get16(frame, layout.transport)].push_back(frame);
    }
    ASSERT_EQ(after, by_port) << round;
    joined += static_cast<uint32_t>(frames.size() - writes.size());
  }
  EXPECT_GT(joined, 1000u);
}

}  // namespace
}  // namespace ksocket
