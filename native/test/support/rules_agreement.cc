#include "support/rules_agreement.h"

#include <algorithm>

#include "core/answer/rules/program.h"
#include "core/answer/rules/reply_template.h"
#include "support/rules_interpreter.h"
#include "support/rules_random.h"

namespace ksocket::test {

using namespace rules;

namespace {

// In memory of just the size that is offered.
std::string reply_disagreement(const Rule& rule, const Request& request, Random& random) {
  uint64_t counter = random.u64();
  std::vector<uint8_t> wanted = interpret(rule.reply, request, counter);
  if (wanted.size() > max_size(rule.reply, request.payload.size()))
    return "a reply is longer than max_size()";
  size_t size = random.one_in(2) ? wanted.size() : random.below(100);
  std::vector<uint8_t> room(size);
  size_t got = render(rule.reply, request, counter, room.data(), room.size());
  if (got != (wanted.size() <= size ? wanted.size() : kDoesNotFit)) return "a reply has another size";
  if (got == kDoesNotFit || std::equal(wanted.begin(), wanted.end(), room.begin())) return "";
  return "a reply says something else";
}

}  // namespace

std::string disagreement(const RuleSpec& spec, Random& random, int datagrams) {
  Program program(spec);
  std::vector<uint32_t> counted;
  for (int i = 0; i < datagrams; i++) {
    Datagram datagram = random_datagram(random, spec);
    Verdict wanted = interpret(spec, datagram.request());
    if (program.match(datagram.request(), nullptr) != wanted.winner) return "another rule decides";
    if (program.match(datagram.request(), &counted) != wanted.winner) return "counting changes who decides";
    std::ranges::sort(counted);
    if (counted != wanted.counted) return "other rules count";
    for (size_t n = 0; n < spec.rules.size(); n++) {
      const Rule& rule = spec.rules[n];
      bool looked_at = i == 0 || n == wanted.winner;  // each once, and who answers
      if (!looked_at || rule.action != Action::reply) continue;
      if (std::string wrong = reply_disagreement(rule, datagram.request(), random); !wrong.empty())
        return wrong;
    }
  }
  return "";
}

}  // namespace ksocket::test
