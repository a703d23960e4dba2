// Rules compiled for the kernel, run by a machine of ours that looks at each access, on frames that the
// fuzzer puts together: as the interpreter that takes the rules literally, and the thread, decide.
#include "core/answer/rules/decode.h"
#include "fuzz/support/fuzz.h"
#include "support/rules_encoder.h"
#include "support/rules_random.h"
#include "support/xdp_agreement.h"
#include "support/xdp_machine.h"

namespace ksocket::fuzz {

void run(Random& in) {
  constexpr int kFrames = 16;
  auto spec = rules::decode_rules(test::encode(test::random_spec(in, 6)));
  must(spec.has_value(), "what the encoder writes is taken");
  test::XdpPairs pairs;
  must_agree(test::xdp_disagreement(*spec, test::make_runner<test::XdpMachine>, in, kFrames, &pairs));
}

}  // namespace ksocket::fuzz
