// Whether rules that were decoded, compiled and rendered do what they literally say.
#pragma once

#include <string>

#include "core/answer/rules/rule.h"
#include "support/random.h"

namespace ksocket::test {

// Asks the program made of the rules, and the interpreter, about some datagrams, and compares the replies.
// What they differ in, or "".
std::string disagreement(const rules::RuleSpec& spec, Random& random, int datagrams);

}  // namespace ksocket::test
