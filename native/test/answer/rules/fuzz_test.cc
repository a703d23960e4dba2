// Broken encodings, and what is made of those that happen to be valid. KSOCKET_FUZZ_INPUTS says how many; the
// sanitizer builds see what reads or writes beyond its memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "core/answer/rules/decode.h"
#include "core/answer/rules/program.h"
#include "core/answer/rules/reply_template.h"
#include "support/rules_encoder.h"
#include "support/rules_interpreter.h"
#include "support/rules_random.h"

namespace ksocket::rules {
namespace {

using test::pick;
using test::Random;
using Bytes = std::vector<uint8_t>;

constexpr uint32_t kHeaderBytes = 12;

// Numbers at which something ends.
uint32_t edge(Random& random) {
  static constexpr uint32_t kEdges[] = {0,     1,          2,          4,          6,         7,     8,
                                        32,    33,         127,        128,        129,       255,   256,
                                        257,   1024,       4096,       32767,      32768,     65507, 65535,
                                        65536, 0x7fffffff, 0x80000000, 0xffff0001, UINT32_MAX};
  return kEdges[pick(random, std::size(kEdges))];
}

void mutate(Random& random, Bytes* bytes) {
  if (bytes->empty()) return bytes->push_back(static_cast<uint8_t>(random()));
  uint32_t at = pick(random, bytes->size());
  uint32_t count = 1 + pick(random, std::min<uint32_t>(16, bytes->size() - at));
  switch (pick(random, 12)) {
    default:
      (*bytes)[at] ^= 1 << pick(random, 8);
      break;
    case 1:
      (*bytes)[at] += pick(random, 2) == 0 ? 1 : -1;
      break;
    case 2: {  // a number of 1, 2 or 4 bytes
      uint32_t value = edge(random), size = 1u << pick(random, 3);
      for (uint32_t i = 0; i < size && at + i < bytes->size(); i++) (*bytes)[at + i] = value >> (8 * i);
      break;
    }
    case 3:
      bytes->erase(bytes->begin() + at, bytes->begin() + at + count);
      break;
    case 4: {  // something twice
      Bytes copy(bytes->begin() + at, bytes->begin() + at + count);
      bytes->insert(bytes->begin() + pick(random, bytes->size() + 1), copy.begin(), copy.end());
      break;
    }
    case 5:
      bytes->resize(at);
      break;
    case 6:
      bytes->insert(bytes->begin() + at, static_cast<uint8_t>(random()));
      break;
  }
}

// A valid header with anything behind it; small numbers, which pass more checks than large ones.
Bytes noise(Random& random) {
  Bytes out = test::encode({});
  out[8] = static_cast<uint8_t>(pick(random, 3));
  out.resize(kHeaderBytes + pick(random, 80));
  for (size_t i = kHeaderBytes; i < out.size(); i++) {
    out[i] = static_cast<uint8_t>(pick(random, 4) == 0 ? random() : pick(random, 8) * pick(random, 2));
  }
  return out;
}

Bytes random_input(Random& random) {
  Bytes out;
  if (pick(random, 8) == 0) {
    out = noise(random);
  } else if (pick(random, 16) == 0) {
    out = test::random_bytes(random, 64);
  } else {
    out = test::encode(test::random_spec(random, 4));
    for (uint32_t i = 1 + pick(random, 2); i > 0; i--) mutate(random, &out);
  }
  return {out.begin(), out.end()};  // in memory of just that size
}

void check_reply(Random& random, const Rule& rule, const Request& request) {
  size_t size_max = max_size(rule.reply, request.payload.size());
  Bytes room(pick(random, 2) == 0 ? size_max : pick(random, 100));
  size_t size = render(rule.reply, request, random(), room.data(), room.size());
  if (size == kDoesNotFit) {
    ASSERT_LT(room.size(), size_max);
  } else {
    ASSERT_LE(size, std::min(room.size(), size_max));
  }
}

TEST(RulesFuzz, what_decodes_compiles_and_agrees_with_the_interpreter) {
  Random random(11);
  uint64_t inputs = test::fuzz_inputs(), decoded = 0, with_rules = 0;
  std::vector<uint32_t> counted;
  for (uint64_t i = 0; i < inputs; i++) {
    Bytes input = random_input(random);
    std::optional<RuleSpec> spec = decode_rules(input);
    if (!spec.has_value()) continue;
    decoded++;
    with_rules += !spec->rules.empty();
    ASSERT_EQ(test::encode(*spec), input) << "input " << i << " stands for the rules of another one";
    Program program(*spec);
    for (int j = 0; j < 3; j++) {
      test::Datagram datagram = test::random_datagram(random, *spec);
      test::Verdict wanted = test::interpret(*spec, datagram.request());
      ASSERT_EQ(program.match(datagram.request(), &counted), wanted.winner) << "input " << i;
      std::ranges::sort(counted);
      ASSERT_EQ(counted, wanted.counted) << "input " << i;
      for (const Rule& rule : spec->rules)
        ASSERT_NO_FATAL_FAILURE(check_reply(random, rule, datagram.request()));
    }
  }
  // Inputs are broken, but not so badly that none gets through.
  EXPECT_GT(with_rules, inputs / 20);
  EXPECT_LT(decoded, inputs / 2);
}

}  // namespace
}  // namespace ksocket::rules
