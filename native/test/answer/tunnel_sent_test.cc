// What a tunnel counts as sent, and as not sent.
#include <gtest/gtest.h>

#include <cerrno>

#include "support/tunnel_rig.h"

namespace ksocket {
namespace {

using test::make_frame;
using test::Outgoing;
using test::remote;
using test::tunnel_to;
using Rig = test::TunnelRig;

// Each of so many bytes of payload.
void device_sends_train(Rig& rig, uint32_t frames, uint16_t bytes_each) {
  rig.device_sends(make_frame({.payload_bytes = frames * bytes_each}),
                   {kNeedsChecksum, kGsoTcpV4, 66, bytes_each, 34, 16});
}

TEST(TunnelSent, frames_that_the_kernel_refuses_are_not_among_those_that_left) {
  Rig rig(tunnel_to({remote(2)}));
  bool refuses = true;
  rig.talk.engine.on_send([&](const Outgoing&) { return refuses ? EPERM : 0; });
  rig.device_sends(make_frame({}));
  device_sends_train(rig, 40, 1000);
  EXPECT_TRUE(rig.left().empty());
  EXPECT_EQ(rig.count(TunnelCounter::frames_sent), 0u);
  EXPECT_EQ(rig.count(TunnelCounter::bytes_sent), 0u);
  EXPECT_EQ(rig.talk.counters[Counter::tx_errors], 41u);
  refuses = false;
  rig.device_sends(make_frame({}));
  EXPECT_EQ(rig.left().size(), 1u);
  EXPECT_EQ(rig.count(TunnelCounter::frames_sent), 1u);
  EXPECT_EQ(rig.count(TunnelCounter::bytes_sent), make_frame({}).size());
}

TEST(TunnelSent, of_a_train_those_frames_are_counted_that_left) {
  Rig rig(tunnel_to({remote(2)}));
  // Joined, none leaves; of those that go alone each second is refused, by the identification inside.
  rig.talk.engine.on_send([](const Outgoing& message) {
    return message.segment_size != 0 || (message.data[8 + 14 + 5] & 1) != 0 ? EPERM : 0;
  });
  device_sends_train(rig, 10, 1000);
  EXPECT_EQ(rig.left().size(), 5u);
  EXPECT_EQ(rig.count(TunnelCounter::frames_sent), 5u);
  EXPECT_EQ(rig.count(TunnelCounter::bytes_sent), 5u * 1066u);
  EXPECT_EQ(rig.talk.counters[Counter::tx_errors], 5u);
}

TEST(TunnelSent, a_frame_to_several_remotes_has_left_where_it_went_to_any) {
  Rig rig(tunnel_to({remote(2), remote(3), remote(4)}));
  rig.talk.engine.on_send([](const Outgoing& message) { return message.to == remote(3) ? 0 : EHOSTUNREACH; });
  rig.device_sends(make_frame({}));
  EXPECT_EQ(rig.left().size(), 1u);
  EXPECT_EQ(rig.count(TunnelCounter::frames_sent), 1u);
  EXPECT_EQ(rig.talk.counters[Counter::tx_errors], 2u);
  rig.talk.engine.on_send([](const Outgoing&) { return EHOSTUNREACH; });
  rig.device_sends(make_frame({}));
  EXPECT_TRUE(rig.left().empty());
  EXPECT_EQ(rig.count(TunnelCounter::frames_sent), 1u);
  EXPECT_EQ(rig.count(TunnelCounter::bytes_sent), make_frame({}).size());
}

TEST(TunnelSent, a_frame_that_waits_has_left_when_it_has) {
  Rig rig(tunnel_to({remote(2), remote(3)}));
  bool full = true;
  rig.talk.engine.on_send([&](const Outgoing& message) {
    return full && (message.segment_size != 0 || message.to == remote(3)) ? EAGAIN : 0;
  });
  rig.device_sends(make_frame({}));
  EXPECT_EQ(rig.left().size(), 1u);
  EXPECT_EQ(rig.count(TunnelCounter::frames_sent), 1u) << "by the first of its copies";
  full = false;
  rig.talk.responder.ready(rig.tools(), 1);
  EXPECT_EQ(rig.talk.engine.take_sent().size(), 1u);
  EXPECT_EQ(rig.count(TunnelCounter::frames_sent), 1u);
  full = true;
  rig.talk.engine.on_send([&](const Outgoing&) { return full ? EAGAIN : 0; });
  device_sends_train(rig, 10, 1000);
  EXPECT_TRUE(rig.left().empty());
  EXPECT_EQ(rig.count(TunnelCounter::frames_sent), 1u) << "none of the train yet";
  full = false;
  rig.talk.responder.ready(rig.tools(), 1);
  EXPECT_EQ(rig.count(TunnelCounter::frames_sent), 11u);
}

TEST(TunnelSent, what_left_before_memory_was_short_is_counted_and_the_rest_is_dropped) {
  Rig rig(tunnel_to({remote(2)}));
  // Nothing that is joined leaves, and alone not more than three do.
  uint32_t left = 0;
  rig.talk.engine.on_send([&](const Outgoing& message) {
    return message.segment_size != 0 ? EPERM : left++ < 3 ? 0 : ENOBUFS;
  });
  device_sends_train(rig, 10, 1000);
  EXPECT_EQ(rig.left().size(), 3u);
  EXPECT_EQ(rig.count(TunnelCounter::frames_sent), 3u);
  EXPECT_EQ(rig.count(TunnelCounter::bytes_sent), 3u * 1066u);
  EXPECT_EQ(rig.count(TunnelCounter::send_drops), 7u);
}

}  // namespace
}  // namespace ksocket
