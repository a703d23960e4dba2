// Kinds of scenarios: what the program does and what the network does to it, as decided, until enough steps
// are made; then the kernel is kind, and everything has to come to an end.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "simulate/decisions.h"

namespace ksocket::simulate {

enum class Kind : uint8_t { receive, share, send, serve, lives, all };
struct KindName {
  const char* name;
  Kind kind;
};
std::span<const KindName> kinds();

struct Result {
  std::string failure;  // empty: none
  uint64_t steps = 0;
  uint64_t received = 0, sent = 0, calls = 0, records = 0;
};

// `steps`: at most; a run of chosen decisions ends with them.
Result run(Kind kind, Decisions& decisions, uint64_t steps, bool traces = false);

}  // namespace ksocket::simulate
