#include <gtest/gtest.h>

#include <string>

#include "core/answer/rules/reply_template.h"
#include "support/fake_engine.h"
#include "support/rules_random.h"

namespace ksocket::rules {
namespace {

using test::address_of;
using Bytes = std::vector<uint8_t>;

Bytes bytes_of(const std::string& text) {
  return {text.begin(), text.end()};
}

Part literal(const Bytes& bytes, Template* of) {
  int32_t begin = static_cast<int32_t>(of->literals.size());
  of->literals.insert(of->literals.end(), bytes.begin(), bytes.end());
  return {.kind = Part::Kind::literal, .begin = begin, .end = static_cast<int32_t>(of->literals.size())};
}
Part slice(int32_t begin, int32_t end = Part::kToTheEnd) {
  return {.kind = Part::Kind::request, .begin = begin, .end = end};
}
Part slot(Part::Kind kind, int32_t xor_at = Part::kNoXor) {
  return {.kind = kind, .xor_at = xor_at};
}
Part counter(uint8_t bytes) {
  return {.kind = Part::Kind::counter, .counter_bytes = bytes};
}

// What the parts make of the request. In memory of just that size.
Bytes rendered(const Template& reply, const Request& request, uint64_t counter = 0) {
  Bytes room(max_size(reply, request.payload.size()) + 1);
  size_t size = render(reply, request, counter, room.data(), room.size());
  EXPECT_LT(size, room.size());
  Bytes out(size);
  EXPECT_EQ(render(reply, request, counter, out.data(), size), size);
  return out;
}
Bytes rendered(const Part& part, const Request& request, uint64_t counter = 0) {
  return rendered(Template{.parts = {part}}, request, counter);
}

TEST(RulesReply, is_its_parts_in_order) {
  Template reply;
  reply.parts = {literal(bytes_of("<"), &reply), slice(0), literal({}, &reply),
                 literal(bytes_of(">"), &reply)};
  Bytes payload = bytes_of("ping");
  EXPECT_EQ(rendered(reply, {.payload = payload}), bytes_of("<ping>"));
  EXPECT_EQ(rendered(reply, {}), bytes_of("<>"));
  EXPECT_EQ(rendered(Template{}, {.payload = payload}), Bytes{});
}

TEST(RulesReply, slices_the_request_as_arrays_are_sliced) {
  Bytes payload = bytes_of("abcde");
  auto sliced = [&](int32_t begin, int32_t end) { return rendered(slice(begin, end), {.payload = payload}); };
  EXPECT_EQ(sliced(0, Part::kToTheEnd), bytes_of("abcde"));
  EXPECT_EQ(sliced(1, 3), bytes_of("bc"));
  EXPECT_EQ(sliced(-2, Part::kToTheEnd), bytes_of("de"));
  EXPECT_EQ(sliced(-3, -1), bytes_of("cd"));
  EXPECT_EQ(sliced(-65535, 2), bytes_of("ab"));
  EXPECT_EQ(sliced(3, 65535), bytes_of("de"));
  EXPECT_EQ(sliced(3, 2), Bytes{});
  EXPECT_EQ(sliced(5, Part::kToTheEnd), Bytes{});
  EXPECT_EQ(sliced(65535, Part::kToTheEnd), Bytes{});
  EXPECT_EQ(sliced(0, -5), Bytes{});
  EXPECT_EQ(sliced(0, -65535), Bytes{});
}

TEST(RulesReply, has_the_source_in_network_order) {
  Request request{.source = address_of("192.0.2.1", 0x1234)};
  EXPECT_EQ(rendered(slot(Part::Kind::source_address), request), (Bytes{192, 0, 2, 1}));
  EXPECT_EQ(rendered(slot(Part::Kind::source_port), request), (Bytes{0x12, 0x34}));
  request.source = address_of("2001:db8::1", 1);
  Bytes v6{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  EXPECT_EQ(rendered(slot(Part::Kind::source_address), request), v6);
  request.source = address_of("::ffff:192.0.2.1", 1);
  EXPECT_EQ(rendered(slot(Part::Kind::source_address), request), (Bytes{192, 0, 2, 1}));
  request.source = {};
  EXPECT_EQ(rendered(slot(Part::Kind::source_address), request), Bytes{});
}

TEST(RulesReply, a_request_too_short_to_xor_with_goes_on_with_zeroes) {
  Bytes payload{0xff, 0xf0};
  Request request{.payload = payload, .source = address_of("192.0.2.1", 0x1234)};
  EXPECT_EQ(rendered(slot(Part::Kind::source_address, 0), request), (Bytes{192 ^ 0xff, 0xf0, 2, 1}));
  EXPECT_EQ(rendered(slot(Part::Kind::source_address, 1), request), (Bytes{192 ^ 0xf0, 0, 2, 1}));
  EXPECT_EQ(rendered(slot(Part::Kind::source_address, 2), request), (Bytes{192, 0, 2, 1}));
  EXPECT_EQ(rendered(slot(Part::Kind::source_port, 1), request), (Bytes{0x12 ^ 0xf0, 0x34}));
  EXPECT_EQ(rendered(slot(Part::Kind::source_port, 65535), request), (Bytes{0x12, 0x34}));
}

// RFC 5769, sections 2.1 to 2.3: the requests's transaction, and the addresses that the responses carry.
TEST(RulesReply, makes_the_mapped_addresses_of_the_stun_test_vectors) {
  const Bytes header{0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7,
                     0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae};
  Template reply;
  reply.parts = {slot(Part::Kind::source_port, 4), slot(Part::Kind::source_address, 4)};
  Request v4{.payload = header, .source = address_of("192.0.2.1", 32853)};
  EXPECT_EQ(rendered(reply, v4), (Bytes{0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43}));
  Request v6{.payload = header, .source = address_of("2001:db8:1234:5678:11:2233:4455:6677", 32853)};
  EXPECT_EQ(rendered(reply, v6), (Bytes{0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc,
                                        0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9}));
}

TEST(RulesReply, tells_the_time) {
  auto ntp = [](uint64_t ns) { return rendered(slot(Part::Kind::time_ntp), {.time_ns = ns}); };
  EXPECT_EQ(ntp(0), (Bytes{0x83, 0xaa, 0x7e, 0x80, 0, 0, 0, 0}));
  EXPECT_EQ(ntp(1'500'000'000), (Bytes{0x83, 0xaa, 0x7e, 0x81, 0x80, 0, 0, 0}));
  EXPECT_EQ(ntp(999'999'999), (Bytes{0x83, 0xaa, 0x7e, 0x80, 0xff, 0xff, 0xff, 0xfb}));
  // 7 February 2036, 06:28:16 UTC: the next era begins (RFC 5905, figure 4).
  EXPECT_EQ(ntp(2'085'978'496'000'000'000), (Bytes{0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(rendered(slot(Part::Kind::time_unix), {.time_ns = 0x0102030405060708}),
            (Bytes{1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST(RulesReply, counts_modulo_the_size_of_the_counter) {
  EXPECT_EQ(rendered(counter(1), {}, 0x1ff), (Bytes{0xff}));
  EXPECT_EQ(rendered(counter(2), {}, 0x10203), (Bytes{2, 3}));
  EXPECT_EQ(rendered(counter(4), {}, 0x0102030405), (Bytes{2, 3, 4, 5}));
  EXPECT_EQ(rendered(counter(8), {}, UINT64_MAX), Bytes(8, 0xff));
}

TEST(RulesReply, that_does_not_fit_is_not_written_beyond_its_room) {
  Template reply;
  reply.parts = {literal(bytes_of("pong"), &reply), counter(4)};
  Bytes room(8, 'x');
  EXPECT_EQ(render(reply, {}, 0, room.data(), 8), 8u);
  room.assign(8, 'x');
  EXPECT_EQ(render(reply, {}, 0, room.data(), 7), kDoesNotFit);
  EXPECT_EQ(room[7], 'x');
  EXPECT_EQ(render(reply, {}, 0, room.data(), 0), kDoesNotFit);
  EXPECT_EQ(render(Template{}, {}, 0, room.data(), 0), 0u);
}

TEST(RulesReply, is_no_longer_than_the_request_unless_that_is_allowed) {
  Rule rule;
  EXPECT_EQ(size_limit(rule, 0), 0u);
  EXPECT_EQ(size_limit(rule, 100), 100u);
  EXPECT_EQ(size_limit(rule, 65535), kReplyBytesMax);
  rule.amplify = true;
  EXPECT_EQ(size_limit(rule, 0), kReplyBytesMax);
}

TEST(RulesReply, is_never_longer_than_max_size) {
  test::Random random(5);
  for (int i = 0; i < 2000; i++) {
    RuleSpec spec = test::random_spec(random, 20);
    for (const Rule& rule : spec.rules) {
      test::Datagram datagram = test::random_datagram(random, spec);
      Bytes room(max_size(rule.reply, datagram.payload.size()));
      ASSERT_LE(render(rule.reply, datagram.request(), random(), room.data(), room.size()), room.size());
    }
  }
}

}  // namespace
}  // namespace ksocket::rules
