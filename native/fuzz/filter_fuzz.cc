// The kernel's filter, executed by an interpreter, keeps what a look through the lists keeps.
#include "core/answer/protection/filter.h"
#include "fuzz/support/fuzz.h"
#include "support/address_lists.h"
#include "support/bpf_interpreter.h"

namespace ksocket::fuzz {

void run(Random& in) {
  test::RandomAddresses probes{Random(in.bytes(40))};
  bool has_allow = in.one_in(2);
  uint8_t family = in.one_in(3) ? 4 : 6;
  size_t half = in.left() / 2;
  test::List denied = test::RandomAddresses{Random(in.bytes(half))}.list(8);
  test::List allowed = test::RandomAddresses{Random(in.bytes(half))}.list(8);
  AddressSet deny = test::set_of(denied), allow = test::set_of(allowed);
  std::vector<sock_filter> program = compile_filter(deny, has_allow ? &allow : nullptr, family);
  if (!program.empty()) must_agree(test::check_program(program));
  auto check = [&](Ipv6Number number, const Address& source) {
    if (source.family == 6 && family == 4) return;
    bool keep = !test::lists(denied, number) && (!has_allow || test::lists(allowed, number));
    // Lists as short as these fit.
    bool kept = program.empty() || test::run_program(program, test::network_header(source)) != 0;
    must(kept == keep, "the filter keeps what is allowed and not denied");
  };
  for (int i = 0; i < 5; i++) {
    Ipv6Number number = probes.near(has_allow && i % 2 == 0 ? allowed : denied);
    check(number, test::unmapped(number));
    check(number, test::ipv6_of(number));
  }
}

}  // namespace ksocket::fuzz
