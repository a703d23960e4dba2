// Many rules: the verifier takes them, each decides what it has to, and KSOCKET_XDP_MEASURE prints how long
// it takes.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "support/fake_engine.h"
#include "support/xdp_frames.h"
#include "support/xdp_kernel.h"

namespace ksocket::xdp {
namespace {

using rules::Action;
using rules::Match;
using rules::Part;
using rules::Rule;
using test::Frame;
using Bytes = std::vector<uint8_t>;

constexpr uint16_t kPort = 2325;
constexpr uint8_t kLocal[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1};

// What DNS and the like ask: a name behind what all have in common.
Bytes name_of(uint32_t i) {
  std::string text = "GET /" + std::to_string(i * 7919 % 10007) + ".example";
  return {text.begin(), text.end()};
}

void reply_with(const std::string& text, Rule* rule) {
  rule->action = Action::reply;
  rule->amplify = true;
  rule->reply.literals.assign(text.begin(), text.end());
  Part literal, echoed;
  literal.end = static_cast<int32_t>(text.size());
  echoed.kind = Part::Kind::request;
  echoed.end = 4;
  rule->reply.parts = {literal, echoed};
}

// By what the payload begins with.
Rule keyed(uint32_t i) {
  Rule out;
  out.match.kind = i % 2 == 0 ? Match::Payload::exact : Match::Payload::prefix;
  out.match.payload = name_of(i);
  reply_with("this is the answer number " + std::to_string(i), &out);
  return out;
}

// By a mask and the source: none that a trie finds.
Rule unkeyed(uint32_t i) {
  Rule out;
  out.match.masks.push_back({5, Bytes(4, 0xff), name_of(i)});
  Bytes& value = out.match.masks[0].value;
  value = Bytes(value.begin() + 5, value.begin() + 9);
  rules::Cidr network;
  network.prefix_bits = 8;
  network.bytes[0] = 10;
  out.match.sources = {network};
  reply_with("this is the answer number " + std::to_string(i), &out);
  return out;
}

Frame asking(uint32_t i) {
  Frame out;
  out.payload = name_of(i);
  out.source = {10, 0, 0, 2};
  out.local = {10, 0, 0, 1};
  out.source_port = 4000;
  out.local_port = kPort;
  return out;
}

struct Loaded {
  explicit Loaded(std::vector<Rule> rules) {
    auto begin = std::chrono::steady_clock::now();
    compiled = compile({std::move(rules), Action::drop, 0}, {}, {.port = kPort});
    auto between = std::chrono::steady_clock::now();
    kernel = std::make_unique<test::XdpKernel>(compiled);
    auto end = std::chrono::steady_clock::now();
    compile_ms = std::chrono::duration<double, std::milli>(between - begin).count();
    load_ms = std::chrono::duration<double, std::milli>(end - between).count();
    kernel->set_address(kLocal, kAddressLocal | kAddressServed);
    Entry entry{.hardware = Frame{}.hardware_to, .joined = joined_frames(), .ways = {{0, {.port = kPort}}}};
    kernel->enter_by(entry);
  }
  CompiledRules compiled;
  std::unique_ptr<test::XdpKernel> kernel;
  double compile_ms = 0, load_ms = 0;
};

void answers_all(const char* kind, uint32_t count, Rule (*make)(uint32_t)) {
  std::vector<Rule> rules;
  for (uint32_t i = 0; i < count; i++) rules.push_back(make(i));
  Loaded loaded(std::move(rules));
  ASSERT_EQ(loaded.kernel->error(), "");
  uint64_t total_ns = 0;
  uint32_t asked = 0;
  for (uint32_t i = 0; i < count; i += 1 + count / 100, asked++) {
    auto answer = loaded.kernel->run(asking(i).bytes());
    ASSERT_EQ(answer.verdict, uint32_t{XDP_TX}) << kind << ' ' << i << " of " << count;
    ASSERT_EQ(std::string(answer.frame.begin() + 42, answer.frame.end()),
              "this is the answer number " + std::to_string(i) + "GET ");
  }
  if (std::getenv("KSOCKET_XDP_MEASURE") == nullptr) return;
  size_t instructions = 0;
  for (const Program& program : loaded.compiled.programs) instructions += program.code.size();
  // A frame that matches nothing stays as it is, however often it is run.
  Frame none = asking(0), last = asking(count - 1);
  none.payload[6] = 'x';
  uint32_t passes_ns = loaded.kernel->run(none.bytes(), 200'000).duration_ns;
  for (uint32_t i = 0; i < 1000; i++) total_ns += loaded.kernel->run(last.bytes()).duration_ns;
  std::printf(
      "%-8s %5u rules: %7zu instructions in %2zu programs, compiled in %6.1f ms, loaded in %6.1f ms, "
      "no match %u ns, last match %.0f ns\n",
      kind, count, instructions, loaded.compiled.programs.size(), loaded.compile_ms, loaded.load_ms,
      passes_ns, static_cast<double>(total_ns) / 1000);
}

TEST(XdpScale, thousands_of_rules_are_loaded_and_each_decides) {
  if (std::string why = test::no_xdp(); !why.empty()) GTEST_SKIP() << why;
  bool measures = std::getenv("KSOCKET_XDP_MEASURE") != nullptr;
  for (uint32_t count : {1u, 10u, 100u, 1000u, 4000u}) {
    if (count > 1000 && !measures) continue;
    answers_all("by trie", count, keyed);
    answers_all("one by one", count, unkeyed);
  }
}

// The fewest instructions for a branch, the most branches for an instruction, and so on: none is more than
// the verifier takes.
TEST(XdpScale, many_small_rules_are_loaded_whatever_they_are_like) {
  if (std::string why = test::no_xdp(); !why.empty()) GTEST_SKIP() << why;
  void (*const kinds[])(uint32_t, Rule*) = {
      [](uint32_t i, Rule* rule) {
        rule->match.kind = Match::Payload::prefix;
        rule->match.payload = {static_cast<uint8_t>(i), static_cast<uint8_t>(i >> 8)};
      },
      [](uint32_t i, Rule* rule) { rule->match.length_min = rule->match.length_max = i % 1500; },
      [](uint32_t i, Rule* rule) {
        rule->action = Action::count;
        rule->match.length_min = i % 1500;
        rule->match.length_max = 1500;
      },
      [](uint32_t i, Rule* rule) {
        rule->match.heeds_kernel = true;
        rule->match.ttl_min = static_cast<uint8_t>(1 + i % 100);
        rule->match.dscps = i;
        rule->match.ecns = 3;
      },
      [](uint32_t i, Rule* rule) {
        rule->match.kind = Match::Payload::exact;
        rule->match.payload.assign(1 + i % 1500, 'a');
        rule->action = Action::echo;
      },
  };
  for (auto make : kinds) {
    std::vector<Rule> rules(3000);
    for (uint32_t i = 0; i < rules.size(); i++) make(i, &rules[i]);
    Loaded loaded(std::move(rules));
    EXPECT_EQ(loaded.kernel->error(), "");
    for (const Program& program : loaded.compiled.programs) EXPECT_LT(program.code.size(), 20'000u);
    if (std::getenv("KSOCKET_XDP_MEASURE") != nullptr)
      std::printf("%zu programs, loaded in %.0f ms\n", loaded.compiled.programs.size(), loaded.load_ms);
  }
}

}  // namespace
}  // namespace ksocket::xdp
