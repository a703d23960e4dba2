// Single sets of rules, in the kernel.
#include "core/xdp/compile.h"

#include <gtest/gtest.h>

#include "core/xdp/listing.h"
#include "support/address_lists.h"
#include "support/fake_engine.h"
#include "support/rules_random.h"
#include "support/xdp_frames.h"
#include "support/xdp_kernel.h"

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
