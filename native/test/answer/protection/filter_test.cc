#include "core/answer/protection/filter.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>

#include "core/socket/filter.h"
#include "support/address_lists.h"
#include "support/bpf_interpreter.h"
#include "support/fake_engine.h"
#include "support/loopback.h"

namespace ksocket {
namespace {

using test::address_of;
using test::check_program;
using test::fuzz_inputs;
using test::ipv6_of;
using test::List;
using test::lists;
using test::network_header;
using test::RandomAddresses;
using test::run_program;
using test::set_of;
using test::unmapped;

using Program = std::vector<sock_filter>;

bool passes(const Program& program, const Address& source) {
  uint32_t result = run_program(program, network_header(source));
  EXPECT_TRUE(result == 0 || result == UINT32_MAX) << "cuts datagrams to " << result;
  return result != 0;
}
bool passes(const Program& program, const char* source) {
  return passes(program, address_of(source, 0));
}

TEST(CompileFilter, makes_no_program_where_nothing_is_to_be_dropped) {
  AddressSet nothing, everything = set_of({"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"});
  AddressSet ipv6_only = set_of({"2001:db8::1"});
  for (uint8_t family : {4, 6}) {
    EXPECT_TRUE(compile_filter(nothing, nullptr, family).empty());
    EXPECT_TRUE(compile_filter(nothing, &everything, family).empty());
  }
  EXPECT_TRUE(compile_filter(ipv6_only, nullptr, 4).empty());
}

TEST(CompileFilter, drops_what_is_denied) {
  for (uint8_t family : {4, 6}) {
    Program program = compile_filter(set_of({"10.0.0.1-10.0.0.9", "2001:db8::1"}), nullptr, family);
    ASSERT_EQ(check_program(program), "");
    for (const char* denied : {"10.0.0.1", "10.0.0.9"}) EXPECT_FALSE(passes(program, denied)) << denied;
    for (const char* other : {"10.0.0.0", "10.0.0.10", "0.0.0.0", "255.255.255.255"})
      EXPECT_TRUE(passes(program, other)) << other;
    if (family == 4) continue;
    EXPECT_FALSE(passes(program, "2001:db8::1"));
    for (const char* other : {"2001:db8::", "2001:db8::2", "2001:db7:ffff::1", "::"})
      EXPECT_TRUE(passes(program, other)) << other;
  }
}

TEST(CompileFilter, keeps_only_what_is_allowed_and_not_denied) {
  AddressSet allow = set_of({"10.0.0.0-10.0.0.255", "2001:db8::-2001:db8::ffff"});
  Program program = compile_filter(set_of({"10.0.0.7", "2001:db8::7"}), &allow, 6);
  ASSERT_EQ(check_program(program), "");
  for (const char* allowed : {"10.0.0.0", "10.0.0.255", "2001:db8::", "2001:db8::ffff"})
    EXPECT_TRUE(passes(program, allowed)) << allowed;
  for (const char* dropped : {"10.0.0.7", "2001:db8::7", "10.0.1.0", "9.255.255.255", "2001:db8::1:0", "::"})
    EXPECT_FALSE(passes(program, dropped)) << dropped;
}

TEST(CompileFilter, drops_all_where_nothing_is_allowed) {
  AddressSet allow, other_family = set_of({"::1"});
  for (uint8_t family : {4, 6}) {
    Program program = compile_filter({}, &allow, family);
    ASSERT_EQ(check_program(program), "");
    EXPECT_FALSE(passes(program, "127.0.0.1"));
  }
  Program program = compile_filter({}, &other_family, 4);
  ASSERT_EQ(check_program(program), "");
  EXPECT_FALSE(passes(program, "127.0.0.1"));
}

TEST(CompileFilter, takes_a_mapped_source_for_ipv4) {
  Program program = compile_filter(set_of({"10.0.0.1-10.0.0.9"}), nullptr, 6);
  ASSERT_EQ(check_program(program), "");
  EXPECT_FALSE(passes(program, "::ffff:10.0.0.5"));
  EXPECT_TRUE(passes(program, "::ffff:10.0.0.10"));
  EXPECT_TRUE(passes(program, "::10.0.0.5"));
  EXPECT_TRUE(passes(program, "::1:ffff:10.0.0.5"));
}

struct Ranges {
  const char* what;
  Ipv6Number first, step, width;

  List some(size_t count) const {
    List out;
    for (size_t n = 0; n < count; n++) {
      Ipv6Number from{first.high + n * step.high, first.low + n * step.low};
      out.push_back({from, Ipv6Number{from.high + width.high, from.low + width.low}.previous()});
    }
    return out;
  }
};

// The documented limits, and what becomes of lists beyond them.
TEST(CompileFilter, makes_no_program_of_lists_that_do_not_fit) {
  constexpr Ipv6Number kIpv4{0, kMappedFirst.low | 0x0a000000}, kGlobal{0x2001'0db8'0000'0000, 0};
  struct Case : Ranges {
    size_t fits, does_not;
  };
  for (const Case& c :
       {Case{{"IPv4", kIpv4, {0, 16}, {0, 8}}, 1900, 2100},
        Case{{"IPv6 /32", kGlobal, {uint64_t{2} << 32, 0}, {uint64_t{1} << 32, 0}}, 1900, 2100},
        Case{{"IPv6 /48", kGlobal, {uint64_t{3} << 31, 0}, {uint64_t{1} << 16, 0}}, 850, 950},
        Case{{"IPv6 address", kGlobal, {uint64_t{3} << 31, 0}, {0, 1}}, 380, 450}}) {
    List list = c.some(c.fits);
    Program program = compile_filter(set_of(list), nullptr, 6);
    ASSERT_EQ(check_program(program), "") << c.what;
    for (const auto& range : list) {
      ASSERT_FALSE(passes(program, unmapped(range.first))) << c.what;
      ASSERT_FALSE(passes(program, unmapped(range.last))) << c.what;
      ASSERT_TRUE(passes(program, unmapped(range.last.next()))) << c.what;
    }
    EXPECT_TRUE(compile_filter(set_of(c.some(c.does_not)), nullptr, 6).empty()) << c.what;
  }
}

TEST(CompileFilter, agrees_with_the_sets_and_with_a_look_through_the_lists) {
  Fd sockets[] = {test::bound_socket(4), test::has_ipv6() ? test::bound_socket(6) : Fd()};
  RandomAddresses random(3);
  uint64_t programs = 0, kept = 0, evaluated = 0, total = fuzz_inputs(20'000);
  for (uint64_t i = 0; i < total;) {
    size_t ranges_max = random.below(16) == 0 ? 300 : 12;
    List denied = random.list(ranges_max), allowed = random.list(ranges_max);
    bool has_allow = random.below(2) == 0;
    AddressSet deny = set_of(denied), allow = set_of(allowed);
    for (uint8_t family : {4, 6}) {
      Program program = compile_filter(deny, has_allow ? &allow : nullptr, family);
      if (!program.empty()) {
        ASSERT_EQ(check_program(program), "");
        int fd = sockets[family == 6].get();
        if (programs++ % 16 == 0 && fd >= 0) {
          ASSERT_EQ(attach_filter(fd, program), 0);
        }
      }
      for (int n = 0; n < 32; n++, i++) {
        Ipv6Number number = random.near(has_allow && random.below(2) == 0 ? allowed : denied);
        Address source = unmapped(number);
        if (family == 4 && source.family == 6) continue;
        bool keep = !lists(denied, number) && (!has_allow || lists(allowed, number));
        ASSERT_EQ(!deny.contains(source) && (!has_allow || allow.contains(source)), keep);
        if (program.empty()) {
          ASSERT_TRUE(keep) << format_address(source);  // lists as short as these always fit
          continue;
        }
        ASSERT_EQ(passes(program, source), keep) << format_address(source);
        if (family == 6) {
          ASSERT_EQ(passes(program, ipv6_of(number)), keep) << format_address(source);
        }
        evaluated++;
        kept += keep;
      }
    }
  }
  EXPECT_GT(evaluated, total / 3) << "the lists are no test";
  EXPECT_GT(kept, evaluated / 10) << "the lists are no test";
  EXPECT_LT(kept, evaluated * 9 / 10) << "the lists are no test";
}

}  // namespace
}  // namespace ksocket
