// The program of an interface: whose datagram a frame may be.
#include <gtest/gtest.h>

#include "core/xdp/emit_entry.h"
#include "core/xdp/joined_frames.h"
#include "support/xdp_frames.h"
#include "support/xdp_machine.h"

namespace ksocket::xdp {
namespace {

constexpr uint16_t kPort = 2325;
constexpr uint8_t kLocal[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1};

test::Frame asked() {
  test::Frame out;
  out.payload = {'?'};
  out.source = {10, 0, 0, 2};
  out.local = {10, 0, 0, 1};
  out.source_port = 4000;
  out.local_port = kPort;
  return out;
}

// Echoes everything that it is led to.
struct Server {
  explicit Server(const Entry& entry)
      : compiled(compile({{}, rules::Action::echo, 0}, {}, {.port = kPort})), machine(compiled) {
    machine.enter_by(entry);
    machine.set_address(kLocal, kAddressLocal | kAddressServed);
  }
  uint32_t ask(const test::Frame& frame = asked()) { return machine.run(frame.bytes()).verdict; }

  CompiledRules compiled;
  test::XdpMachine machine;
};

Entry entry_of(std::vector<Entry::Way> ways) {
  return {.hardware = asked().hardware_to, .ways = std::move(ways)};
}

Route at(uint16_t port, std::array<uint8_t, 4> address) {
  Route out{.port = port};
  out.ipv4_address = address;
  return out;
}

TEST(XdpEntry, leads_to_the_server_of_the_port_and_the_address) {
  EXPECT_EQ(Server(entry_of({{0, {.port = kPort}}})).ask(), uint32_t{XDP_TX});
  EXPECT_EQ(Server(entry_of({{0, {.port = kPort + 1}}})).ask(), uint32_t{XDP_PASS});
  EXPECT_EQ(Server(entry_of({{0, {.port = kPort, .ipv4 = false}}})).ask(), uint32_t{XDP_PASS});
  EXPECT_EQ(Server(entry_of({{0, at(kPort, {10, 0, 0, 1})}})).ask(), uint32_t{XDP_TX});
  EXPECT_EQ(Server(entry_of({{0, at(kPort, {10, 0, 0, 2})}})).ask(), uint32_t{XDP_PASS});
  EXPECT_EQ(Server(entry_of({})).ask(), uint32_t{XDP_PASS});
}

// Server 1 is not there: what is led to it is passed, and goes to no other one.
TEST(XdpEntry, who_is_at_the_address_comes_before_who_is_at_all_of_them) {
  Route any{.port = kPort}, one = at(kPort, {10, 0, 0, 1});
  for (bool turned : {false, true}) {
    std::vector<Entry::Way> ways{{0, any}, {1, one}};
    if (turned) std::swap(ways[0], ways[1]);
    Server server(entry_of(ways));
    EXPECT_EQ(server.ask(), uint32_t{XDP_PASS});
    test::Frame other = asked();
    other.local = {10, 0, 0, 9};
    server.machine.set_address(std::array<uint8_t, 16>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 9},
                               kAddressLocal | kAddressServed);
    EXPECT_EQ(server.ask(other), uint32_t{XDP_TX});
  }
}

TEST(XdpEntry, routes_meet_where_a_datagram_is_both_s) {
  Route any{.port = kPort}, ipv4{.port = kPort, .ipv6 = false}, ipv6{.port = kPort, .ipv4 = false};
  Route one = at(kPort, {10, 0, 0, 1}), two = at(kPort, {10, 0, 0, 2}), elsewhere{.port = kPort + 1};
  one.ipv6 = two.ipv6 = false;
  EXPECT_TRUE(any.meets(any) && any.meets(ipv4) && any.meets(ipv6) && one.meets(one));
  EXPECT_FALSE(ipv4.meets(ipv6) || any.meets(elsewhere) || one.meets(two) || any.meets(one));
}

TEST(XdpEntry, joined_datagrams_are_left_to_the_thread_and_counted) {
  Entry entry = entry_of({{0, {.port = kPort}}});
  entry.joined = JoinedFrames{24, 40, 316};
  Server server(entry);
  server.machine.set_joined(4);
  EXPECT_EQ(server.ask(), uint32_t{XDP_PASS}) << server.machine.error();
  EXPECT_EQ(server.machine.counters().passed, 1u);
  server.machine.set_joined(0);
  EXPECT_EQ(server.ask(), uint32_t{XDP_TX}) << server.machine.error();
  EXPECT_EQ(server.machine.counters().passed, 1u);
}

TEST(XdpEntry, frames_are_to_the_interface_and_from_a_machine) {
  using Flaw = test::Frame::Flaw;
  Server server(entry_of({{0, {.port = kPort}}}));
  for (Flaw flaw : {Flaw::to_a_group, Flaw::to_another, Flaw::from_a_group, Flaw::from_nobody}) {
    test::Frame frame = asked();
    frame.flaw = flaw;
    EXPECT_EQ(server.ask(frame), uint32_t{XDP_PASS}) << static_cast<int>(flaw);
  }
  Server lo({.hardware = {}, .from_machines = false, .ways = {{0, {.port = kPort}}}});
  test::Frame frame = asked();
  frame.hardware_to = frame.hardware_from = {};
  EXPECT_EQ(lo.ask(frame), uint32_t{XDP_TX});
  EXPECT_EQ(lo.ask(asked()), uint32_t{XDP_PASS});
}

}  // namespace
}  // namespace ksocket::xdp
