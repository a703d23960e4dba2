// Broken encodings, and what is made of those that happen to be valid. KSOCKET_FUZZ_INPUTS says how many; the
// sanitizer builds see what reads or writes beyond its memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "core/answer/rules/decode.h"
#include "support/rules_agreement.h"
#include "support/rules_encoder.h"
#include "support/rules_random.h"

namespace ksocket::rules {
namespace {

using test::Random;
using Bytes = std::vector<uint8_t>;

constexpr uint32_t kHeaderBytes = 12;

// Numbers at which something ends.
uint32_t edge(Random& random) {
  static constexpr uint32_t kEdges[] = {0,     1,          2,          4,          6,         7,     8,
                                        32,    33,         127,        128,        129,       255,   256,
                                        257,   1024,       4096,       32767,      32768,     65507, 65535,
                                        65536, 0x7fffffff, 0x80000000, 0xffff0001, UINT32_MAX};
  return kEdges[random.below(std::size(kEdges))];
}

void mutate(Random& random, Bytes* bytes) {
  if (bytes->empty()) return bytes->push_back(static_cast<uint8_t>(random()));
  uint32_t at = random.below(bytes->size());
  uint32_t count = 1 + random.below(std::min<uint32_t>(16, bytes->size() - at));
  switch (random.below(12)) {
    default:
      (*bytes)[at] ^= 1 << random.below(8);
      break;
    case 1:
      (*bytes)[at] += random.below(2) == 0 ? 1 : -1;
      break;
    case 2: {  // a number of 1, 2 or 4 bytes
      uint32_t value = edge(random), size = 1u << random.below(3);
      for (uint32_t i = 0; i < size && at + i < bytes->size(); i++) (*bytes)[at + i] = value >> (8 * i);
      break;
    }
    case 3:
      bytes->erase(bytes->begin() + at, bytes->begin() + at + count);
      break;
    case 4: {  // something twice
      Bytes copy(bytes->begin() + at, bytes->begin() + at + count);
      bytes->insert(bytes->begin() + random.below(bytes->size() + 1), copy.begin(), copy.end());
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
  out[8] = static_cast<uint8_t>(random.below(3));
  out.resize(kHeaderBytes + random.below(80));
  for (size_t i = kHeaderBytes; i < out.size(); i++) {
    out[i] = static_cast<uint8_t>(random.below(4) == 0 ? random() : random.below(8) * random.below(2));
  }
  return out;
}

Bytes random_input(Random& random) {
  Bytes out;
  if (random.below(8) == 0) {
    out = noise(random);
  } else if (random.below(16) == 0) {
    out = test::random_bytes(random, 64);
  } else {
    out = test::encode(test::random_spec(random, 4));
    for (uint32_t i = 1 + random.below(2); i > 0; i--) mutate(random, &out);
  }
  return {out.begin(), out.end()};  // in memory of just that size
}

TEST(RulesFuzz, what_decodes_compiles_and_agrees_with_the_interpreter) {
  Random random(11);
  uint64_t inputs = test::fuzz_inputs(), decoded = 0, with_rules = 0;
  for (uint64_t i = 0; i < inputs; i++) {
    Bytes input = random_input(random);
    std::optional<RuleSpec> spec = decode_rules(input);
    if (!spec.has_value()) continue;
    decoded++;
    with_rules += !spec->rules.empty();
    ASSERT_EQ(test::encode(*spec), input) << "input " << i << " stands for the rules of another one";
    ASSERT_EQ(test::disagreement(*spec, random, 3), "") << "input " << i;
  }
  // Inputs are broken, but not so badly that none gets through.
  EXPECT_GT(with_rules, inputs / 20);
  EXPECT_LT(decoded, inputs / 2);
}

}  // namespace
}  // namespace ksocket::rules
