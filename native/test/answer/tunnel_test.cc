#include "core/answer/tunnel.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <map>

#include "support/tunnel_rig.h"

namespace ksocket {
namespace {

using test::Frame;
using test::make_frame;
using test::Outgoing;
using test::remote;
using test::tunnel_to;
using test::with_ends;
using Rig = test::TunnelRig;

Frame bytes_of(const std::string& data) {
  return {data.begin(), data.end()};
}

TEST(Tunnel, a_frame_leaves_behind_the_header_of_its_network) {
  Rig rig(tunnel_to({remote(2)}));
  Frame frame = make_frame({});
  rig.device_sends(frame);
  std::vector<Outgoing> left = rig.left();
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].to, remote(2));
  Frame datagram = bytes_of(left[0].data);
  EXPECT_EQ(Frame(datagram.begin(), datagram.begin() + 8), (Frame{8, 0, 0, 0, 0, 0, 7, 0}));
  EXPECT_EQ(Frame(datagram.begin() + 8, datagram.end()), frame);
  EXPECT_EQ(rig.count(TunnelCounter::frames_sent), 1u);
  EXPECT_EQ(rig.count(TunnelCounter::bytes_sent), frame.size());
}

TEST(Tunnel, bare_frames_are_all_of_their_datagram) {
  Tunnel::Options options = tunnel_to({remote(2)});
  options.vxlan = false;
  Rig rig(std::move(options));
  Frame frame = make_frame({});
  rig.device_sends(frame);
  std::vector<Outgoing> left = rig.left();
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(bytes_of(left[0].data), frame);
  rig.hear_bytes(remote(2), frame);
  EXPECT_EQ(rig.device_got(), std::vector<Frame>{frame});
  rig.hear_bytes(remote(2, 4790), frame);  // of bare ones the port counts
  EXPECT_EQ(rig.count(TunnelCounter::unknown_remote_drops), 1u);
}

TEST(Tunnel, a_frame_of_64_kib_leaves_as_joined_datagrams) {
  Rig rig(tunnel_to({remote(2)}));
  test::FrameOptions o{.payload_bytes = 60000};
  VnetHeader header{kNeedsChecksum, kGsoTcpV4, 66, 1400, 34, 16};
  rig.device_sends(make_frame(o), header);
  std::vector<Outgoing> left = rig.left();
  size_t datagrams = 0;
  for (const Outgoing& message : left) {
    EXPECT_LE(message.data.size(), kJoinedBytesMax);
    datagrams += (message.data.size() + 1473) / 1474;
  }
  EXPECT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].segment_size, 8 + 66 + 1400);
  EXPECT_EQ(datagrams, 43u);
  EXPECT_EQ(rig.count(TunnelCounter::frames_sent), 43u);
  EXPECT_EQ(rig.count(TunnelCounter::device_reads), 1u);
}

TEST(Tunnel, no_message_is_longer_than_the_kernel_takes) {
  Rig rig(tunnel_to({remote(2)}));
  for (uint16_t gso_size : {uint16_t{100}, uint16_t{1448}, uint16_t{8900}}) {
    test::FrameOptions o{.payload_bytes = 65000};
    rig.device_sends(make_frame(o), {kNeedsChecksum, kGsoTcpV4, 66, gso_size, 34, 16});
    for (const Outgoing& message : rig.left()) {
      EXPECT_LE(message.data.size(), kJoinedBytesMax);
      size_t each = message.segment_size != 0 ? message.segment_size : message.data.size();
      EXPECT_LE(message.data.size(), each * kGsoSegmentsMin);
    }
  }
}

TEST(Tunnel, frames_of_a_train_are_written_to_the_device_as_one) {
  Rig rig(tunnel_to({remote(2)}));
  Frame train;
  test::FrameOptions o;
  for (int i = 0; i < 5; i++) {
    Frame header(8);
    write_vxlan(7, header.data());
    train.insert(train.end(), header.begin(), header.end());
    Frame frame = make_frame(o);
    train.insert(train.end(), frame.begin(), frame.end());
    o.id++, o.sequence += 100;
  }
  rig.hear_bytes(remote(2, 50000), train, static_cast<uint16_t>(train.size() / 5));  // any port
  std::vector<Frame> got = rig.device_got();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].size(), make_frame({.payload_bytes = 500}).size());
  EXPECT_EQ(rig.count(TunnelCounter::frames_received), 5u);
  EXPECT_EQ(rig.count(TunnelCounter::device_writes), 1u);
  EXPECT_TRUE(rig.talk.delivered.empty()) << "nothing is JavaScript's";
}

TEST(Tunnel, datagrams_of_udp_that_a_kernel_has_left_joined_inside_stay_so) {
  Rig rig(tunnel_to({remote(2)}));
  test::FrameOptions o{.protocol = 17, .payload_bytes = 2500};
  Frame frame = make_frame(o);
  uint32_t sum = test::plain_transport_sum(frame, o, false);
  test::set16(&frame, test::transport_checksum_at(o), sum);
  Frame datagram(8);
  write_vxlan(7, datagram.data());
  datagram.insert(datagram.end(), frame.begin(), frame.end());
  rig.hear_bytes(remote(2), datagram, 1000);
  Frame buffer(70000);
  ssize_t bytes = recv(rig.tap.machine.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  ASSERT_EQ(bytes, static_cast<ssize_t>(sizeof(VnetHeader) + frame.size()));
  VnetHeader header;
  std::memcpy(&header, buffer.data(), sizeof header);
  EXPECT_EQ(header.gso_type, kGsoUdp);
  EXPECT_EQ(header.gso_size, 1000);
  EXPECT_EQ(header.header_bytes, 42);
  EXPECT_EQ(header.flags, kNeedsChecksum);
}

TEST(Tunnel, tcp_is_told_of_no_more_than_fits_the_device_if_asked) {
  for (bool wanted : {false, true}) {
    Tunnel::Options options = tunnel_to({remote(2)});
    options.clamp_mss = wanted;
    Rig rig(std::move(options));
    test::FrameOptions o{.flags = 2, .option_bytes = 4, .payload_bytes = 0};
    Frame frame = make_frame(o);
    size_t at = test::places_of(o).transport + 20;
    std::copy_n(Frame{2, 4, 0x23, 0}.begin(), 4, frame.begin() + static_cast<long>(at));
    test::set_checksums(&frame, o);
    rig.device_sends(frame);
    std::vector<Outgoing> left = rig.left();
    ASSERT_EQ(left.size(), 1u);
    EXPECT_EQ(test::get16(bytes_of(left[0].data), 8 + at + 2), wanted ? 1460u : 0x2300u);
    rig.hear(remote(2), frame);
    EXPECT_EQ(test::get16(rig.device_got().at(0), at + 2), wanted ? 1460u : 0x2300u);
  }
}

TEST(Tunnel, what_is_no_frame_of_its_network_is_dropped_and_counted) {
  Rig rig(tunnel_to({remote(2)}));
  Frame frame = make_frame({});
  rig.hear(remote(3), frame);
  EXPECT_EQ(rig.count(TunnelCounter::unknown_remote_drops), 1u);
  rig.hear(remote(2), frame, 8);
  EXPECT_EQ(rig.count(TunnelCounter::other_vni_drops), 1u);
  rig.hear(remote(2), Frame(frame.begin(), frame.begin() + 13));
  rig.hear_bytes(remote(2), {8, 0, 0});
  rig.hear_bytes(remote(2), {});
  rig.hear_bytes(remote(2), Frame(100, 0));
  EXPECT_EQ(rig.count(TunnelCounter::malformed_drops), 4u);
  rig.hear(remote(2), make_frame({.payload_bytes = 1500}));
  EXPECT_EQ(rig.count(TunnelCounter::too_long_drops), 1u);
  // Nor is one of UDP that is too long made shorter by a checksum that is still to be made.
  test::FrameOptions o{.protocol = 17, .payload_bytes = 1500};
  Frame unfinished = make_frame(o);
  test::set16(&unfinished, test::transport_checksum_at(o), test::plain_transport_sum(unfinished, o, false));
  rig.hear(remote(2), unfinished);
  EXPECT_EQ(rig.count(TunnelCounter::too_long_drops), 2u);
  Frame of_group = frame;
  of_group[6] |= 1;
  rig.hear(remote(2), of_group);
  EXPECT_EQ(rig.count(TunnelCounter::refused_source_drops), 1u);
  EXPECT_TRUE(rig.device_got().empty());
}

TEST(Tunnel, a_long_frame_of_tcp_that_is_not_divided_is_dropped_though_its_checksum_is_still_to_be_made) {
  Rig rig(tunnel_to({remote(2)}));
  test::FrameOptions o{.payload_bytes = 1500};
  auto unfinished = [&] {
    Frame frame = make_frame(o);
    test::set16(&frame, test::transport_checksum_at(o), test::plain_transport_sum(frame, o, false));
    return frame;
  };
  rig.hear(remote(2), unfinished());
  EXPECT_EQ(rig.device_got().size(), 1u);
  o.payload_bytes = 10;
  Frame with_more_behind = unfinished();
  with_more_behind.resize(1600);
  rig.hear(remote(2), with_more_behind);
  EXPECT_EQ(rig.count(TunnelCounter::too_long_drops), 1u);
  EXPECT_TRUE(rig.device_got().empty());
  // Headers of 72 bytes: a device of 72 has no room for data.
  o.payload_bytes = 1500, o.version = 6;
  Frame headers = unfinished();
  EXPECT_EQ(divided_bytes(headers, 72, 94), headers.size());
  EXPECT_EQ(divided_bytes(headers, 73, 95), 0u);
}

TEST(Tunnel, frames_go_where_their_address_was_heard_of_and_others_to_all) {
  Rig rig(tunnel_to({remote(2), remote(3), remote(4)}));
  auto destinations = [&](const Frame& frame) {
    rig.device_sends(frame);
    std::vector<Address> out;
    for (const Outgoing& message : rig.left()) out.push_back(message.to);
    return out;
  };
  Frame frame = with_ends(make_frame({}), 9, 1);
  EXPECT_EQ(destinations(frame), (std::vector<Address>{remote(2), remote(3), remote(4)}));
  EXPECT_EQ(rig.count(TunnelCounter::frames_flooded), 1u);
  rig.hear(remote(3), with_ends(make_frame({}), 1, 9));
  EXPECT_TRUE(rig.talk.engine.take_sent().empty()) << "what comes from a remote goes to no other";
  EXPECT_EQ(destinations(frame), std::vector<Address>{remote(3)});
  rig.hear(remote(4), with_ends(make_frame({}), 1, 9));
  EXPECT_EQ(rig.count(TunnelCounter::addresses_moved), 1u);
  EXPECT_EQ(destinations(frame), std::vector<Address>{remote(4)});
  Frame broadcast = frame;
  std::fill(broadcast.begin(), broadcast.begin() + 6, uint8_t{255});
  EXPECT_EQ(destinations(broadcast).size(), 3u);
}

TEST(Tunnel, addresses_that_were_told_are_nobody_elses) {
  Tunnel::Options options = tunnel_to({remote(2), remote(3)});
  Frame frame = with_ends(make_frame({}), 9, 1);
  options.addresses = {{ForwardingTable::mac_of(frame.data()), 1}};
  options.flood = false;
  Rig rig(std::move(options));
  rig.device_sends(frame);
  std::vector<Outgoing> left = rig.left();
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].to, remote(3));
  rig.hear(remote(2), with_ends(make_frame({}), 1, 9));
  EXPECT_EQ(rig.count(TunnelCounter::refused_source_drops), 1u);
  rig.device_sends(with_ends(frame, 10, 1));
  EXPECT_TRUE(rig.left().empty());
  EXPECT_EQ(rig.count(TunnelCounter::unknown_destination_drops), 1u);
}

TEST(Tunnel, where_the_socket_is_full_the_device_is_not_read_until_it_has_room) {
  Rig rig(tunnel_to({remote(2)}));
  bool full = true;
  rig.talk.engine.on_send([&](const Outgoing&) { return full ? EAGAIN : 0; });
  EXPECT_EQ(rig.watched(), (std::map<uint32_t, uint32_t>{{0, kReadable}}));
  rig.device_sends(make_frame({.id = 1}));
  EXPECT_TRUE(rig.left().empty());
  EXPECT_EQ(rig.watched(), (std::map<uint32_t, uint32_t>{{1, kWritable}}));
  rig.device_sends(make_frame({.id = 2}));
  EXPECT_TRUE(rig.left().empty());
  EXPECT_EQ(rig.count(TunnelCounter::device_reads), 1u);
  full = false;
  rig.talk.responder.ready(rig.tools(), 1);
  EXPECT_EQ(rig.talk.engine.take_sent().size(), 1u);
  EXPECT_EQ(rig.watched(), (std::map<uint32_t, uint32_t>{{0, kReadable}}));
  EXPECT_EQ(rig.left().size(), 1u);
  EXPECT_EQ(rig.count(TunnelCounter::send_drops), 0u);
}

TEST(Tunnel, what_the_kernel_has_no_memory_for_is_dropped_and_counted) {
  Rig rig(tunnel_to({remote(2)}));
  rig.talk.engine.on_send([](const Outgoing&) { return ENOBUFS; });
  rig.device_sends(make_frame({}));
  EXPECT_TRUE(rig.left().empty());
  EXPECT_EQ(rig.count(TunnelCounter::send_drops), 1u);
  EXPECT_EQ(rig.watched(), (std::map<uint32_t, uint32_t>{{0, kReadable}}));
}

TEST(Tunnel, what_the_device_hands_over_and_is_no_frame_is_counted) {
  Rig rig(tunnel_to({remote(2)}));
  rig.device_sends(Frame(13));
  rig.device_sends(make_frame({}), {kNeedsChecksum, kGsoTcpV6, 66, 100, 34, 16});
  EXPECT_TRUE(rig.left().empty());
  EXPECT_EQ(rig.count(TunnelCounter::unsendable_drops), 2u);
}

TEST(Tunnel, goes_on_without_a_device_that_does_not_take_frames) {
  Rig rig(tunnel_to({remote(2)}));
  rig.tap.machine.reset();
  rig.hear(remote(2), make_frame({}));
  EXPECT_EQ(rig.count(TunnelCounter::device_drops), 1u);
  rig.talk.responder.tick();
  rig.hear(remote(2), make_frame({}));
  EXPECT_EQ(rig.count(TunnelCounter::device_drops), 2u);
}

}  // namespace
}  // namespace ksocket
