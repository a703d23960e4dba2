// Needs the rights to load programs, and a network namespace of its own; says so where they are missing.
#include "core/xdp/kernel_answers.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "core/xdp/bpf_call.h"
#include "support/addresses.h"
#include "support/own_network.h"
#include "support/xdp_kernel.h"

namespace ksocket::xdp {
namespace {

using test::address_of;

using rules::Action;
using rules::Part;
using rules::Rule;
using rules::RuleSpec;

constexpr uint16_t kPort = 7777;

// In a network where nothing is but lo. Where that cannot be, the test says why and ends.
#define IN_OWN_NETWORK(body)                                       \
  std::string without = test::no_xdp();                            \
  if (without.empty()) without = test::in_own_network([&]() body); \
  if (!without.empty()) GTEST_SKIP() << without

KernelAnswers::Options options(std::vector<std::string> names = {}) {
  KernelAnswers::Options out;
  out.where = {std::move(names), address_of("127.0.0.1", kPort), Mode::automatic};
  out.compile.port = kPort;
  out.compile.ipv6 = false;
  return out;
}

// Answers everything with this letter.
RuleSpec saying(char letter, size_t rules = 1) {
  RuleSpec out;
  out.otherwise = Action::drop;
  for (size_t i = 0; i < rules; i++) {
    Rule rule;
    rule.action = Action::reply;
    rule.amplify = true;
    rule.reply.literals = {static_cast<uint8_t>(letter)};
    Part part;
    part.kind = Part::Kind::literal;
    part.begin = 0;
    part.end = 1;
    rule.reply.parts = {part};
    out.rules.push_back(rule);
  }
  return out;
}

// What comes back; "" when nothing does.
std::string ask(const Address& server = address_of("127.0.0.1", kPort)) {
  Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  timeval patience{0, 200'000};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  SockAddr to = to_sockaddr(server);
  EXPECT_EQ(connect(fd.get(), &to.any, to.length), 0);
  EXPECT_EQ(send(fd.get(), "?", 1, 0), 1);
  char answer[16];
  ssize_t length = recv(fd.get(), answer, sizeof answer, 0);
  return length < 0 ? std::string() : std::string(answer, static_cast<size_t>(length));
}

struct Row {
  std::vector<uint64_t> cells = std::vector<uint64_t>(kCountersPerRow);
  Counters counters() { return Counters(cells.data()); }
  uint64_t operator[](Counter counter) const { return cells[static_cast<size_t>(counter)]; }
};

void put_in_force(KernelAnswers& answers, const RuleSpec& spec, std::vector<std::string> names) {
  KernelAnswers::Failure failure = answers.prepare(spec, std::move(names), {}, false);
  ASSERT_EQ(failure.error, 0) << failure.needs;
  failure = answers.commit();
  ASSERT_EQ(failure.error, 0) << failure.needs;
}

TEST(KernelAnswers, answer_from_commit_until_stop) {
  IN_OWN_NETWORK({
    Row row;
    KernelAnswers answers(options(), row.counters());
    EXPECT_EQ(answers.prepare(saying('a'), {"one"}, {}, false).error, 0);
    EXPECT_EQ(ask(), "") << "nothing is attached before commit()";
    EXPECT_EQ(answers.commit().error, 0);
    std::vector<KernelAnswers::Place> places = answers.places();
    ASSERT_EQ(places.size(), 1u);
    EXPECT_EQ(places[0].name, "lo");
    EXPECT_EQ(places[0].mode, Mode::generic);
    EXPECT_EQ(places[0].error, 0);
    EXPECT_EQ(ask(), "a");
    answers.stop();
    EXPECT_EQ(ask(), "");
    EXPECT_EQ(answers.hits(), (std::vector<uint64_t>{1})) << "up to stop()";
    EXPECT_EQ(row[Counter::kernel_replies], 1u);
    EXPECT_EQ(row[Counter::replies], 1u);
    EXPECT_EQ(row[Counter::kernel_request_bytes], 1u);
  });
}

TEST(KernelAnswers, rules_keep_their_counts_by_name_and_the_row_counts_on) {
  IN_OWN_NETWORK({
    Row row;
    KernelAnswers answers(options(), row.counters());
    put_in_force(answers, saying('a'), {"one"});
    EXPECT_EQ(ask(), "a");
    put_in_force(answers, saying('b'), {"one"});
    EXPECT_EQ(ask(), "b");
    EXPECT_EQ(answers.hits(), (std::vector<uint64_t>{2}));
    put_in_force(answers, saying('c', 2), {"one", "two"});
    EXPECT_EQ(ask(), "c");
    EXPECT_EQ(answers.hits(), (std::vector<uint64_t>{3, 0}));
    put_in_force(answers, saying('d', 2), {"two", "one"});
    EXPECT_EQ(ask(), "d");
    EXPECT_EQ(answers.hits(), (std::vector<uint64_t>{1, 3}));
    put_in_force(answers, saying('e'), {"other"});
    EXPECT_EQ(answers.hits(), (std::vector<uint64_t>{0}));
    answers.count();
    EXPECT_EQ(row[Counter::kernel_replies], 4u);
  });
}

TEST(KernelAnswers, where_nothing_can_be_compiled_nothing_is_attached) {
  IN_OWN_NETWORK({
    Row row;
    KernelAnswers answers(options(), row.counters());
    RuleSpec delivered;
    delivered.otherwise = Action::deliver;
    put_in_force(answers, saying('a'), {"one"});
    put_in_force(answers, delivered, {});
    EXPECT_FALSE(answers.fates().otherwise.compiled);
    EXPECT_EQ(ask(), "");
    put_in_force(answers, saying('b'), {"one"});
    EXPECT_EQ(ask(), "b");
  });
}

TEST(KernelAnswers, an_interface_that_is_taken_is_taken_over_when_it_is_free) {
  IN_OWN_NETWORK({
    Row row;
    Row other_row;
    KernelAnswers first(options(), row.counters());
    KernelAnswers second(options({"lo"}), other_row.counters());
    put_in_force(first, saying('a'), {"one"});
    put_in_force(second, saying('b'), {"one"});
    EXPECT_EQ(second.places().at(0).error, -EBUSY);
    EXPECT_STREQ(second.places().at(0).reason,
                 "another server of this process answers at this address and port");
    EXPECT_EQ(ask(), "a");
    first.stop();
    for (int i = 0; i < 1000 && second.places().at(0).error != 0; i++) usleep(10'000);
    EXPECT_EQ(ask(), "b");
  });
}

// The event comes once.
TEST(KernelAnswers, what_could_not_be_found_out_about_addresses_is_asked_for_again) {
  IN_OWN_NETWORK({
    Row row;
    KernelAnswers::Options everywhere = options();
    everywhere.where.own = address_of("0.0.0.0", kPort);
    KernelAnswers answers(everywhere, row.counters());
    put_in_force(answers, saying('a'), {"one"});
    Address later = address_of("192.0.2.9", kPort);
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit none = before;
    none.rlim_cur = static_cast<rlim_t>(Fd(dup(0)).get());
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    int status = std::system("ip addr add 192.0.2.9/32 dev lo");
    usleep(200'000);
    std::vector<Interface> all;
    EXPECT_EQ(list_interfaces(&all), -EMFILE);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    if (status != 0) GTEST_SKIP() << "needs `ip`";
    std::string answer;
    for (int i = 0; i < 60 && answer.empty(); i++) {
      answer = ask(later);
      usleep(50'000);
    }
    EXPECT_EQ(answer, "a");
  });
}

TEST(KernelAnswers, a_name_that_no_interface_has_is_said) {
  IN_OWN_NETWORK({
    Row row;
    KernelAnswers answers(options({"nowhere0", "lo"}), row.counters());
    put_in_force(answers, saying('a'), {"one"});
    std::vector<KernelAnswers::Place> places = answers.places();
    ASSERT_EQ(places.size(), 2u);
    EXPECT_EQ(places[0].name, "lo");
    EXPECT_EQ(places[1].name, "nowhere0");
    EXPECT_EQ(places[1].error, -ENODEV);
  });
}

TEST(AddressTable, has_what_the_interfaces_have_and_nothing_else) {
  std::string without = test::no_xdp();
  if (!without.empty()) GTEST_SKIP() << without;
  Fd map;
  ASSERT_EQ(create_map({BPF_MAP_TYPE_HASH, 16, 4, kAddressesMax}, "test", &map), 0);
  auto flags_of = [&](const char* text) {
    in6_addr key;
    EXPECT_EQ(inet_pton(AF_INET6, text, &key), 1);
    uint32_t flags = 0;
    return get_element(map.get(), &key, &flags) == 0 ? flags : 0;
  };
  Interface one{1, "one", true, true, {address_of("192.0.2.1"), address_of("2001:db8::1")}};
  one.broadcasts = {address_of("192.0.2.255")};
  AddressTable any(address_of("::"), true, true);
  EXPECT_EQ(any.follow(map.get(), {one}), 0);
  EXPECT_EQ(flags_of("::ffff:192.0.2.1"), kAddressLocal | kAddressServed);
  EXPECT_EQ(flags_of("2001:db8::1"), kAddressLocal | kAddressServed);
  EXPECT_EQ(flags_of("::ffff:192.0.2.255"), kAddressBroadcast);
  one.addresses = {address_of("2001:db8::2")};
  EXPECT_EQ(any.follow(map.get(), {one}), 0);
  EXPECT_EQ(flags_of("2001:db8::1"), 0u);
  EXPECT_EQ(flags_of("::ffff:192.0.2.1"), 0u);
  EXPECT_EQ(flags_of("2001:db8::2"), kAddressLocal | kAddressServed);
  Interface lo{2, "lo", true, true, {address_of("127.0.0.1"), address_of("::1")}};
  Interface down{3, "down", false, true, {address_of("192.0.2.9")}};
  one.addresses.push_back(address_of("fe80::1"));
  EXPECT_EQ(any.follow(map.get(), {one, lo, down}), 0);
  EXPECT_EQ(flags_of("::ffff:127.0.0.1"), kAddressLocal | kAddressServed | kAddressLoopback);
  EXPECT_EQ(flags_of("::1"), kAddressLocal | kAddressServed | kAddressLoopback);
  EXPECT_EQ(flags_of("::ffff:192.0.2.9"), kAddressLocal) << "nothing comes to an interface that is down";
  EXPECT_EQ(flags_of("fe80::1"), kAddressLocal) << "which another interface may have as well";
  EXPECT_EQ(any.follow(map.get(), {}), 0);
  EXPECT_EQ(next_key(map.get(), nullptr, std::vector<uint8_t>(16).data()), -ENOENT);

  AddressTable only(address_of("127.1.2.3"), true, false);
  EXPECT_EQ(only.follow(map.get(), {one}), 0);
  EXPECT_EQ(flags_of("::ffff:127.1.2.3"), kAddressLocal | kAddressServed | kAddressLoopback)
      << "all of 127.0.0.0/8 is local";
  EXPECT_EQ(flags_of("2001:db8::2"), kAddressLocal);
}

}  // namespace
}  // namespace ksocket::xdp
