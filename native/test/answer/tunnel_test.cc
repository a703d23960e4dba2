#include "core/answer/tunnel.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <map>

#include "support/conversation.h"
#include "support/frames.h"
#include "support/tap_pair.h"

namespace ksocket {
namespace {

using test::Frame;
using test::make_frame;
using test::Outgoing;

Address remote(int number, uint16_t port = 4789) {
  return test::address_of(("127.0.0." + std::to_string(number)).c_str(), port);
}

Frame with_ends(Frame frame, uint8_t to, uint8_t from) {
  frame[5] = to, frame[11] = from;
  return frame;
}

// A tunnel, its device and the network.
struct Rig {
  explicit Rig(Tunnel::Options options)
      : talk(std::move(options), Tap{std::move(tap.device), "none", 1500, true}, 0, uint8_t{4},
             Tunnel::Host{[this](int fd, uint32_t key, uint32_t interest) {
                            watches[fd] = {key, interest};
                            return 0;
                          },
                          [this](int fd) { watches.erase(fd); }},
             true, TunnelCounters(cells)) {
    talk.responder.start();
  }

  void device_sends(const Frame& frame, VnetHeader header = {}) { ASSERT_TRUE(tap.send(frame, header)); }
  void device_is_readable() { talk.responder.ready(tools(), 0); }
  // "4789/size: bytes" by destination's last byte, of each message that left.
  std::vector<Outgoing> left() {
    device_is_readable();
    return talk.engine.take_sent();
  }
  std::vector<Frame> device_got() { return tap.take(); }
  void hear(const Address& from, const Frame& frame, uint32_t vni = 7) {
    Frame datagram(8);
    write_vxlan(vni, datagram.data());
    datagram.insert(datagram.end(), frame.begin(), frame.end());
    hear_bytes(from, datagram);
  }
  void hear_bytes(const Address& from, const Frame& datagram, uint16_t segment_size = 0) {
    talk.hear(from, std::string(datagram.begin(), datagram.end()), segment_size);
    talk.answers();
  }
  uint64_t count(TunnelCounter counter) { return talk.responder.counters().get(counter); }
  ResponderTools tools() { return {talk.engine, talk.flush, talk.batch, talk.round}; }
  // Which keys are watched for what.
  std::map<uint32_t, uint32_t> watched() {
    std::map<uint32_t, uint32_t> out;
    for (const auto& [fd, what] : watches) out.emplace(what);
    return out;
  }

  std::map<int, std::pair<uint32_t, uint32_t>> watches;  // before `talk`, which takes them back
  test::TapPair tap;
  uint64_t cells[kTunnelCounters] = {};
  test::Conversation<Tunnel> talk;
};

Tunnel::Options to(std::vector<Address> remotes) {
  Tunnel::Options out;
  out.vni = 7;
  out.remotes = std::move(remotes);
  // No device of this name can be made.
  out.device.name = "longer-than-sixteen-bytes";
  return out;
}

Frame bytes_of(const std::string& data) {
  return {data.begin(), data.end()};
}

TEST(Tunnel, a_frame_leaves_behind_the_header_of_its_network) {
  Rig rig(to({remote(2)}));
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
  Tunnel::Options options = to({remote(2)});
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
  Rig rig(to({remote(2)}));
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
  Rig rig(to({remote(2)}));
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
  Rig rig(to({remote(2)}));
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
  Rig rig(to({remote(2)}));
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
    Tunnel::Options options = to({remote(2)});
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
  Rig rig(to({remote(2)}));
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

TEST(Tunnel, frames_go_where_their_address_was_heard_of_and_others_to_all) {
  Rig rig(to({remote(2), remote(3), remote(4)}));
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
  Tunnel::Options options = to({remote(2), remote(3)});
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
  Rig rig(to({remote(2)}));
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
  Rig rig(to({remote(2)}));
  rig.talk.engine.on_send([](const Outgoing&) { return ENOBUFS; });
  rig.device_sends(make_frame({}));
  EXPECT_TRUE(rig.left().empty());
  EXPECT_EQ(rig.count(TunnelCounter::send_drops), 1u);
  EXPECT_EQ(rig.watched(), (std::map<uint32_t, uint32_t>{{0, kReadable}}));
}

// Each of so many bytes of payload.
void device_sends_train(Rig& rig, uint32_t frames, uint16_t bytes_each) {
  rig.device_sends(make_frame({.payload_bytes = frames * bytes_each}),
                   {kNeedsChecksum, kGsoTcpV4, 66, bytes_each, 34, 16});
}

TEST(Tunnel, frames_that_the_kernel_refuses_are_not_among_those_that_left) {
  Rig rig(to({remote(2)}));
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

TEST(Tunnel, of_a_train_those_frames_are_counted_that_left) {
  Rig rig(to({remote(2)}));
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

TEST(Tunnel, a_frame_to_several_remotes_has_left_where_it_went_to_any) {
  Rig rig(to({remote(2), remote(3), remote(4)}));
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

TEST(Tunnel, a_frame_that_waits_has_left_when_it_has) {
  Rig rig(to({remote(2), remote(3)}));
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

TEST(Tunnel, what_left_before_memory_was_short_is_counted_and_the_rest_is_dropped) {
  Rig rig(to({remote(2)}));
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

TEST(Tunnel, what_the_device_hands_over_and_is_no_frame_is_counted) {
  Rig rig(to({remote(2)}));
  rig.device_sends(Frame(13));
  rig.device_sends(make_frame({}), {kNeedsChecksum, kGsoTcpV6, 66, 100, 34, 16});
  EXPECT_TRUE(rig.left().empty());
  EXPECT_EQ(rig.count(TunnelCounter::unsendable_drops), 2u);
}

TEST(Tunnel, goes_on_without_a_device_that_does_not_take_frames) {
  Rig rig(to({remote(2)}));
  rig.tap.machine.reset();
  rig.hear(remote(2), make_frame({}));
  EXPECT_EQ(rig.count(TunnelCounter::device_drops), 1u);
  rig.talk.responder.tick();
  rig.hear(remote(2), make_frame({}));
  EXPECT_EQ(rig.count(TunnelCounter::device_drops), 2u);
}

}  // namespace
}  // namespace ksocket
