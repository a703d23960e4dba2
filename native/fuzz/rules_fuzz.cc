// Rules that the fuzzer puts together: encoded, decoded, compiled, and asked about datagrams, beside the
// interpreter that takes them literally.
#include "core/answer/rules/decode.h"
#include "fuzz/support/fuzz.h"
#include "support/rules_agreement.h"
#include "support/rules_encoder.h"
#include "support/rules_random.h"

namespace ksocket::fuzz {

void run(Random& in) {
  rules::RuleSpec spec = test::random_spec(in, 6);
  std::vector<uint8_t> encoded = test::encode(spec);
  auto decoded = rules::decode_rules(encoded);
  must(decoded.has_value(), "what the encoder writes is taken");
  must(test::encode(*decoded) == encoded, "it is decoded to what it was");
  must(decoded->forwards == spec.forwards, "rules that forward are numbered");
  must_agree(test::disagreement(*decoded, in, 3));
}

}  // namespace ksocket::fuzz
