// From the rule that decides to what becomes of the datagram. Only here something is counted or taken, once
// it is sure that the kernel decides.
#pragma once

#include <span>

#include "core/xdp/emit_answer.h"
#include "core/xdp/plan.h"

namespace ksocket::xdp {

// Rules whose replies one program makes. `place`: 0 where it is the program that settles.
struct ReplyProgram {
  std::span<const PlannedRule* const> rules;
  uint32_t place = 0;
};

struct Settling {
  const Plan& plan;
  const Protection& protection;
  const CompileOptions& options;
  const Guard& guard;
  std::span<const ReplyProgram> replies;  // ascending by their rules
};

void emit_settle(Assembler& out, const Settling& settling, const Ends& ends);

// The code of a ReplyProgram: the reply of Scratch::rule.
void emit_replies(Assembler& out, std::span<const PlannedRule* const> rules, const Settling& settling,
                  const Answer& answer, Label broken);

}  // namespace ksocket::xdp
