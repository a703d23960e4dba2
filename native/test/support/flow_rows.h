// Rows of a forwarder's flows, as one process tells another of them.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "core/answer/forwarder.h"
#include "support/relay.h"

namespace ksocket::test {

inline constexpr uint64_t kRule = 5;

struct Rows {
  std::vector<FlowRow> all;
  int64_t next = 0;
};

inline Rows rows_of(const Relay& from, const KnownFlows& known = {}, uint32_t first = 0,
                    size_t max = SIZE_MAX) {
  Rows out;
  out.next = from.forwarder->put_rows(kRule, first, max, known, from.now, &out.all);
  return out;
}

inline void take(Relay& to, const Rows& rows) {
  for (const FlowRow& row : rows.all) to.forwarder->take(row, Fd(row.fd), to.now);
}

inline KnownFlows known_of(const Rows& rows) {
  KnownFlows out;
  for (const FlowRow& row : rows.all) out.insert({kRule, static_cast<uint64_t>(row.serial)});
  return out;
}

}  // namespace ksocket::test
