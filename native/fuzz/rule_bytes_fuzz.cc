// Any bytes as encoded rules: refused, or rules that are encoded to the same bytes again and answer as the
// interpreter does.
#include "core/answer/rules/decode.h"
#include "fuzz/support/fuzz.h"
#include "support/rules_agreement.h"
#include "support/rules_encoder.h"

namespace ksocket::fuzz {

void run(Random& in) {
  Random datagrams(in.bytes(24));
  bool with_header = !in.one_in(8);
  std::vector<uint8_t> bytes;
  if (with_header) bytes = {'k', 's', 'r', 'l', 1, 0};
  std::span<const uint8_t> rest = in.bytes(in.left());
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  std::vector<uint8_t> encoded(bytes.begin(), bytes.end());  // in memory of just that size
  auto spec = rules::decode_rules(encoded);
  if (!spec.has_value()) return;
  must(test::encode(*spec) == encoded, "no two inputs stand for the same rules");
  must_agree(test::disagreement(*spec, datagrams, 2));
}

}  // namespace ksocket::fuzz
