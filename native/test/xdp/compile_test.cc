// Single sets of rules, in the kernel.
#include "core/xdp/compile.h"

#include <gtest/gtest.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstdlib>
#include <cstring>

#include "core/base/clock.h"
#include "core/xdp/listing.h"
#include "support/address_lists.h"
#include "support/fake_engine.h"
#include "support/own_network.h"
#include "support/rules_random.h"
#include "support/xdp_frames.h"
#include "support/xdp_kernel.h"
#include "support/xdp_random.h"

namespace ksocket::xdp {
namespace {

using rules::Action;
using test::Frame;
using Bytes = std::vector<uint8_t>;

#define NEEDS_XDP() \
  if (std::string why = test::no_xdp(); !why.empty()) GTEST_SKIP() << why

constexpr uint16_t kPort = 2325;
constexpr uint8_t kLocal[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1};

Bytes bytes_of(const std::string& text) {
  return {text.begin(), text.end()};
}

rules::Rule rule(const std::string& prefix, Action action, const std::string& reply = "") {
  rules::Rule out;
  out.match.kind = prefix.empty() ? rules::Match::Payload::any : rules::Match::Payload::prefix;
  out.match.payload = bytes_of(prefix);
  out.action = action;
  out.amplify = true;
  if (action != Action::reply) return out;
  rules::Part part;
  out.reply.literals = bytes_of(reply);
  part.end = static_cast<int32_t>(reply.size());
  out.reply.parts.push_back(part);
  return out;
}

Frame asked(const std::string& payload) {
  Frame out;
  out.payload = bytes_of(payload);
  out.source = {10, 0, 0, 2};
  out.local = {10, 0, 0, 1};
  out.source_port = 4000;
  out.local_port = kPort;
  return out;
}

// What went back, without its headers.
std::string payload_of(const test::XdpKernel::Result& result) {
  return {result.frame.begin() + 42, result.frame.end()};
}

struct Talk {
  explicit Talk(std::vector<rules::Rule> given, const Protection& protection = {})
      : compiled(compile({std::move(given), Action::drop, 0}, protection, {.port = kPort})),
        kernel(compiled) {
    kernel.set_address(kLocal, kAddressLocal | kAddressServed);
  }
  CompiledRules compiled;
  test::XdpKernel kernel;
};

TEST(XdpCompile, does_what_the_first_match_says) {
  NEEDS_XDP();
  Talk talk({rule("a", Action::echo), rule("b", Action::reply, "bee"), rule("c", Action::drop),
             rule("d", Action::count), rule("d", Action::deliver), rule("", Action::reply, "?")});
  ASSERT_EQ(talk.kernel.error(), "");
  EXPECT_EQ(payload_of(talk.kernel.run(asked("abc").bytes())), "abc");
  EXPECT_EQ(payload_of(talk.kernel.run(asked("b").bytes())), "bee");
  EXPECT_EQ(talk.kernel.run(asked("c").bytes()).verdict, uint32_t{XDP_DROP});
  EXPECT_EQ(talk.kernel.run(asked("d").bytes()).verdict, uint32_t{XDP_PASS});
  EXPECT_EQ(payload_of(talk.kernel.run(asked("xyz").bytes())), "?");
  EXPECT_EQ(talk.kernel.hits(), (std::vector<uint64_t>{1, 1, 1, 0, 0, 1}));
}

rules::Rule slot(rules::Part::Kind kind) {
  rules::Rule out = rule("", Action::reply);
  out.reply.parts = {{.kind = kind}};
  return out;
}

uint64_t number_of(const std::string& text) {
  uint64_t out = 0;
  for (char byte : text) out = out << 8 | static_cast<uint8_t>(byte);
  return out;
}

TEST(XdpCompile, tells_the_time_of_either_clock) {
  NEEDS_XDP();
  for (auto [clock, id] : {std::pair{CompileOptions::Clock::monotonic, CLOCK_MONOTONIC},
                           std::pair{CompileOptions::Clock::tai, CLOCK_TAI}}) {
    CompiledRules compiled =
        compile({{slot(rules::Part::Kind::time_unix)}, Action::drop, 0}, {}, {.port = kPort, .clock = clock});
    test::XdpKernel kernel(compiled);
    ASSERT_EQ(kernel.error(), "");
    kernel.set_address(kLocal, kAddressLocal | kAddressServed);
    uint64_t before = clock_ns(CLOCK_REALTIME), own = clock_ns(id), between = clock_ns(CLOCK_REALTIME);
    kernel.set_options({.clock_offset_ns = (before + between) / 2 - own});
    uint64_t from = clock_ns(CLOCK_REALTIME);
    uint64_t told = number_of(payload_of(kernel.run(asked("?").bytes())));
    uint64_t to = clock_ns(CLOCK_REALTIME);
    // The offset is as exact as what it was made of.
    EXPECT_GE(told + (between - before), from);
    EXPECT_LE(told, to + (between - before));
  }
}

// How long a reply may be that the device has no room for, and one that has.
TEST(XdpCompile, leaves_to_the_thread_what_is_longer_than_the_device_sends) {
  NEEDS_XDP();
  std::string why = test::in_own_network([] {
    Fd socket(::socket(AF_INET, SOCK_DGRAM, 0));
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_mtu = 300;
    ASSERT_EQ(ioctl(socket.get(), SIOCSIFMTU, &request), 0);
    for (size_t size : {300 - 28, 300 - 28 + 1}) {
      Talk talk({rule("", Action::reply, std::string(size, 'x'))});
      ASSERT_EQ(talk.kernel.error(), "");
      auto answer = talk.kernel.run(asked("?").bytes());
      EXPECT_EQ(answer.verdict, size + 28 <= 300 ? XDP_TX : XDP_PASS);
      if (answer.verdict == XDP_PASS) {
        EXPECT_EQ(answer.frame, asked("?").bytes());
      }
      EXPECT_EQ(talk.kernel.counters().passed, size + 28 <= 300 ? 0u : 1u);
    }
  });
  if (!why.empty()) GTEST_SKIP() << why;
}

TEST(XdpCompile, leaves_to_the_thread_what_is_longer_than_it_renders) {
  NEEDS_XDP();
  rules::Rule longer = rule("", Action::reply, "x");
  longer.reply.parts.push_back({.kind = rules::Part::Kind::request, .end = rules::Part::kToTheEnd});
  Talk talk({longer});
  ASSERT_EQ(talk.kernel.error(), "");
  Frame fits = asked(std::string(kPayloadBytesMax - 1, '?')),
        not_quite = asked(std::string(kPayloadBytesMax, '?'));
  fits.padding = 1;  // so that the answer is no longer than the frame
  EXPECT_EQ(talk.kernel.run(fits.bytes()).verdict, uint32_t{XDP_TX});
  EXPECT_EQ(talk.kernel.run(not_quite.bytes()).verdict, uint32_t{XDP_PASS});
}

// Nobody has shown that the path carries it, and a router's word would not be heard.
TEST(XdpCompile, leaves_to_the_thread_what_is_longer_than_any_path_carries_and_than_the_request) {
  NEEDS_XDP();
  for (size_t size : {kPathBytesMin - 28, kPathBytesMin - 27}) {
    Talk talk({rule("", Action::reply, std::string(size, 'x'))});
    ASSERT_EQ(talk.kernel.error(), "");
    EXPECT_EQ(talk.kernel.run(asked("?").bytes()).verdict, size + 28 <= kPathBytesMin ? XDP_TX : XDP_PASS);
    EXPECT_EQ(talk.kernel.run(asked(std::string(size, '?')).bytes()).verdict, uint32_t{XDP_TX});
  }
}

// RFC 1812, section 5.3.8: nobody but this machine has its addresses.
TEST(XdpCompile, leaves_to_the_stack_what_comes_from_outside_with_an_address_of_this_machine) {
  NEEDS_XDP();
  std::string why = test::in_own_network([] {
    if (std::system("ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up") != 0)
      GTEST_SKIP() << "needs `ip` and veth";
    Talk talk({rule("", Action::echo)});
    uint32_t device = if_nametoindex("v0");
    Fd link = talk.kernel.attach(device);
    ASSERT_TRUE(link) << "no program on veth";
    Frame other = asked("?"), own = asked("?"), loopback = asked("?");
    own.source = own.local;
    loopback.source = {127, 0, 0, 9};
    EXPECT_EQ(talk.kernel.run_on(device, other.bytes()), uint32_t{XDP_TX}) << talk.kernel.error();
    EXPECT_EQ(talk.kernel.run_on(device, own.bytes()), uint32_t{XDP_PASS});
    EXPECT_EQ(talk.kernel.run_on(device, loopback.bytes()), uint32_t{XDP_PASS});
    EXPECT_EQ(talk.kernel.run(own.bytes()).verdict, uint32_t{XDP_TX});
    EXPECT_EQ(talk.kernel.run(loopback.bytes()).verdict, uint32_t{XDP_TX});
    // RFC 1122, section 3.2.1.3: nor is 127.0.0.1 asked from outside.
    talk.kernel.set_address(kLocal, kAddressLocal | kAddressServed | kAddressLoopback);
    EXPECT_EQ(talk.kernel.run_on(device, other.bytes()), uint32_t{XDP_PASS});
    EXPECT_EQ(talk.kernel.run(other.bytes()).verdict, uint32_t{XDP_TX});
  });
  if (!why.empty()) GTEST_SKIP() << why;
}

TEST(XdpCompile, leaves_own_addresses_to_the_thread_where_it_forwards) {
  NEEDS_XDP();
  std::vector<rules::Rule> given{rule("f", Action::forward), rule("", Action::echo)};
  CompiledRules compiled = compile({given, Action::drop, 1}, {}, {.port = kPort});
  test::XdpKernel kernel(compiled);
  ASSERT_EQ(kernel.error(), "");
  kernel.set_address(kLocal, kAddressLocal | kAddressServed);
  Frame own = asked("e"), other = asked("e");
  own.source = {127, 0, 0, 1};
  EXPECT_EQ(kernel.run(own.bytes()).verdict, uint32_t{XDP_PASS});
  EXPECT_EQ(kernel.run(other.bytes()).verdict, uint32_t{XDP_TX});
}

// RFC 768: a sum of 0 is sent as 0xffff, as 0 says that there is none.
TEST(XdpCompile, a_checksum_of_0_is_sent_as_all_ones) {
  NEEDS_XDP();
  Talk talk({rule("", Action::echo)});
  for (uint32_t i = 0; i < 65536; i++) {
    Frame frame = asked({static_cast<char>(i >> 8), static_cast<char>(i)});
    Bytes answer = test::answer_to(frame, frame.payload, {.port = kPort}).bytes();
    if (answer[40] != 0xff || answer[41] != 0xff) continue;
    EXPECT_EQ(talk.kernel.run(frame.bytes()).frame, answer);
    return;
  }
  FAIL() << "there is always one";
}

TEST(XdpCompile, leaves_to_the_thread_what_comes_from_a_broadcast_address_or_goes_to_one) {
  NEEDS_XDP();
  Talk talk({rule("", Action::echo)});
  uint8_t broadcast[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 255};
  Frame from = asked("?"), to = asked("?");
  from.source.back() = to.local.back() = 255;
  EXPECT_EQ(talk.kernel.run(from.bytes()).verdict, uint32_t{XDP_TX});
  talk.kernel.set_address(broadcast, kAddressBroadcast);
  EXPECT_EQ(talk.kernel.run(from.bytes()).verdict, uint32_t{XDP_PASS});
  talk.kernel.set_address(broadcast, kAddressBroadcast | kAddressServed);
  EXPECT_EQ(talk.kernel.run(to.bytes()).verdict, uint32_t{XDP_PASS});
}

TEST(XdpCompile, says_what_is_left_to_the_thread_and_why) {
  rules::Rule other_port = rule("p", Action::drop), forward = rule("f", Action::forward),
              long_payload = rule(std::string(2000, 'l'), Action::drop);
  other_port.match.destination_ports = {kPort + 1};
  CompiledRules compiled = compile({{rule("a", Action::echo), rule("d", Action::deliver), forward, other_port,
                                     long_payload, rule("r", Action::reply, std::string(2000, 'x'))},
                                    Action::deliver,
                                    1},
                                   {}, {.port = kPort});
  std::vector<std::string> said;
  for (const RuleFate& fate : compiled.rules) said.push_back((fate.compiled ? "+" : "-") + fate.reason);
  said.push_back((compiled.otherwise.compiled ? "+" : "-") + compiled.otherwise.reason);
  EXPECT_EQ(said, (std::vector<std::string>{
                      "+", "-deliver: the datagram is for JavaScript",
                      "-forward: a flow to a back end is the thread's",
                      "+it never matches: the socket has another port",
                      "+it matches only datagrams longer than 1536 bytes, which are left to the thread",
                      "-the reply is longer than 1536 bytes", "-deliver: the datagram is for JavaScript"}));
}

TEST(XdpCompile, lists_that_are_too_long_leave_everything_to_the_thread) {
  test::List ranges;
  for (uint64_t i = 0; i < 2000; i++) {
    // From an odd address to an even one before the last: 126 networks.
    ranges.push_back({{0x2001 | i << 32, 1}, {0x2001 | i << 32, UINT64_MAX - 1}});
  }
  AddressSet deny = *AddressSet::decode(test::encode(ranges));
  EXPECT_EQ(compile({}, {.deny = &deny}, {.port = kPort}).refused, "");
  ranges.clear();
  for (uint64_t i = 0; i < 3000; i++)
    ranges.push_back({{0x2001 | i << 32, 1}, {0x2001 | i << 32, UINT64_MAX - 1}});
  deny = *AddressSet::decode(test::encode(ranges));
  CompiledRules compiled = compile({}, {.deny = &deny}, {.port = kPort});
  EXPECT_EQ(compiled.refused, "the lists have too many networks");
  EXPECT_TRUE(compiled.programs.empty());
}

// For people: nothing that the disassembler does not know, and no map without a name.
TEST(XdpCompile, what_is_compiled_can_be_read) {
  AddressSet some = test::set_of({"10.0.0.0-10.0.0.9"});
  Protection protection{.deny = &some,
                        .allow = &some,
                        .per_source = RateLimit{1, 1},
                        .total = RateLimit{1, 1},
                        .service_ports = {7},
                        .repeats = RateLimit{100, 16384}};
  test::Random random(8);
  for (int i = 0; i < 50; i++) {
    rules::RuleSpec spec = test::random_spec(random, 40);
    std::string text = listing_of(compile(spec, protection, {.port = kPort}));
    ASSERT_EQ(text.find('?'), text.npos) << text.substr(text.find('?') - 40, 80);
    ASSERT_NE(text.find("call xdp_load_bytes"), text.npos);
    ASSERT_NE(text.find("map ks_per_source: lru_hash, key 16 bytes, value 8 bytes, 65536 entries"),
              text.npos);
  }
}

}  // namespace
}  // namespace ksocket::xdp
