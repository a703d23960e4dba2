// RuleResponder: what it has counted, and its forwarders' flows, for another process and from one.
#include <unordered_map>

#include "core/answer/rule_responder.h"
#include "core/base/clock.h"

namespace ksocket {

// A place is of the forwarders' one behind the other, by their names.
RuleResponder::Flows RuleResponder::flows(int64_t from, size_t rows_max, const KnownFlows& known) {
  adopt_next();
  uint64_t now = clock_ns(CLOCK_MONOTONIC);
  Flows out;
  int64_t begin = 0;
  for (const auto& [name, forwarder] : forwarders_) {
    int64_t end = begin + forwarder->options().flows_max;
    if (from < end) {
      if (out.rows.size() == rows_max) {
        out.next = from;
        return out;
      }
      uint64_t rule = Forwarder::rule_of(name, forwarder->options());
      auto first = static_cast<uint32_t>(from - begin);
      int64_t next = forwarder->put_rows(rule, first, rows_max - out.rows.size(), known, now, &out.rows);
      if (next < 0) {
        for (const FlowRow& row : out.rows) Fd(row.fd);
        return {{}, next};
      }
      from = begin + next;
    }
    begin = end;
  }
  out.next = from < begin ? from : kNoMoreFlows;
  return out;
}

void RuleResponder::take_flows(std::span<const FlowRow> rows, std::span<const int32_t> fds, bool all) {
  adopt_next();
  uint64_t now = clock_ns(CLOCK_MONOTONIC);
  std::unordered_map<uint64_t, Forwarder*> by_rule;
  for (const auto& [name, forwarder] : forwarders_) {
    by_rule.emplace(Forwarder::rule_of(name, forwarder->options()), forwarder.get());
    if (all) forwarder->mark_absent();
  }
  for (size_t i = 0; i < rows.size(); i++) {
    Fd fd(i < fds.size() ? fds[i] : -1);
    auto found = by_rule.find(whole(rows[i].rule));
    if (found != by_rule.end()) found->second->take(rows[i], std::move(fd), now);
  }
  if (!all) return;
  for (const auto& [name, forwarder] : forwarders_) forwarder->settle();
}

void RuleResponder::begin_flows() {
  for (const auto& [name, forwarder] : forwarders_) forwarder->begin();
}

void RuleResponder::stop_drops() {
  for (const auto& [name, forwarder] : forwarders_) forwarder->stop_drops();
}

void RuleResponder::count_drops() {
  for (const auto& [name, forwarder] : forwarders_) forwarder->count_drops();
}

std::vector<double> RuleResponder::tallies() {
  std::vector<double> out;
  for (const auto& tally : latest_) {
    out.push_back(static_cast<double>(tally->hits.load(std::memory_order_relaxed)));
    out.push_back(static_cast<double>(tally->replies));
  }
  return out;
}

void RuleResponder::set_tallies(std::span<const double> tallies) {
  for (size_t i = 0; i < latest_.size() && i * 2 + 1 < tallies.size(); i++) {
    latest_[i]->hits.store(whole(tallies[i * 2]), std::memory_order_relaxed);
    latest_[i]->replies = whole(tallies[i * 2 + 1]);
  }
}

}  // namespace ksocket
