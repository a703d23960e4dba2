// Everything at once: TxFlush and a kernel at random.
#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "core/datapath/tx_flush.h"
#include "support/build.h"
#include "support/outbox.h"

namespace ksocket {
namespace {

using test::Outbox;
using test::Outgoing;

// ---- everything at once

// Whatever the kernel does: each datagram is sent once, or its result says why not, or it waits; none
// overtakes another of its destination; the counters add up.
TEST(TxFlush, is_exact_about_every_datagram_whatever_the_kernel_refuses) {
  for (uint32_t seed = 0; seed < (test::kThreadSanitizer ? 400 : 2000); seed++) {
    std::mt19937 random(seed);
    auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
    Outbox out(below(4) != 0);
    out.socket.retry_refused = below(2) == 0;

    uint32_t count = 1 + below(below(10) == 0 ? 1200 : 60);
    uint32_t peers = 1 + below(6);
    uint32_t common = 4 + below(1500);
    std::map<std::string, size_t> index_of;
    for (uint32_t i = 0; i < count; i++) {
      // Long enough for a label that is unique in the run.
      uint32_t bytes = below(3) != 0 ? common : 4 + below(1500);
      std::string label = {static_cast<char>('A' + i % 64), static_cast<char>('A' + i / 64), '#', '#'};
      out.add(static_cast<int>(1 + below(peers)), label, bytes);
      index_of[label] = i;
    }

    // What this kernel does.
    size_t limit = below(3) == 0 ? 1 + below(5) : SIZE_MAX;
    int gso_error = below(3) == 0 ? (below(2) == 0 ? EIO : EMSGSIZE) : 0;
    uint32_t gso_bytes_max = below(2) == 0 ? 0 : below(1500);
    uint32_t bad_one_in = below(2) == 0 ? 0 : 2 + below(20);
    uint32_t signal_one_in = below(4) == 0 ? 3 : 0;
    uint32_t full_after = below(2) == 0 ? below(count) : UINT32_MAX;
    bool full_is_over = false;
    uint32_t accepted = 0;
    std::mt19937 kernel(seed);
    out.engine.limit_send(limit);
    out.engine.on_send([&](const Outgoing& m) -> int {
      if (signal_one_in != 0 && kernel() % signal_one_in == 0) return EINTR;
      if (gso_error != 0 && m.segment_size > gso_bytes_max) return gso_error;
      if (!full_is_over && accepted >= full_after) return EAGAIN;
      // The same datagram is always bad: alone it says so, joined it spoils the lot.
      uint32_t each = m.segment_size != 0 ? m.segment_size : static_cast<uint32_t>(m.data.size());
      for (size_t at = 0; at < m.data.size(); at += each) {
        if (bad_one_in != 0 && index_of.at(m.data.substr(at, 4)) % bad_one_in == 1) return EPERM;
      }
      accepted++;
      return 0;
    });

    auto left = [&] {  // the datagrams that left, in order, with checks on their bytes
      std::vector<size_t> out_order;
      for (const Outgoing& m : out.engine.take_sent()) {
        size_t each = m.segment_size != 0 ? m.segment_size : m.data.size();
        for (size_t at = 0; at < m.data.size(); at += each) {
          std::string data = m.data.substr(at, each);
          size_t index = index_of.at(data.substr(0, 4));
          std::string expected = data.substr(0, 4);
          expected.resize(data.size(), '.');
          EXPECT_EQ(data, expected);
          EXPECT_EQ(m.to.port, out.descriptors[index].port);
          out_order.push_back(index);
        }
      }
      return out_order;
    };

    bool settled = out.send();
    std::vector<size_t> order = left();
    size_t deferred = 0;
    for (const Descriptor& d : out.descriptors) deferred += d.result == kResultDeferred;
    ASSERT_EQ(settled, deferred == 0) << "seed " << seed;
    // Of one destination, nothing leaves behind something that waits.
    std::map<uint16_t, bool> waits;
    for (const Descriptor& d : out.descriptors) {
      if (d.result == kResultDeferred) waits[d.port] = true;
      ASSERT_FALSE(d.result >= 0 && waits[d.port]) << "seed " << seed;
    }

    full_is_over = true;
    ASSERT_TRUE(out.send_deferred()) << "seed " << seed;
    for (size_t index : left()) order.push_back(index);

    std::vector<int> times(count, 0);
    std::map<uint16_t, size_t> latest;
    for (size_t index : order) {
      times[index]++;
      size_t& last = latest[out.descriptors[index].port];
      ASSERT_TRUE(last == 0 || index + 1 > last) << "seed " << seed << ": datagram " << index << " overtook";
      last = index + 1;
    }
    uint64_t good = 0, bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
      bool bad = bad_one_in != 0 && i % bad_one_in == 1;
      ASSERT_EQ(times[i], bad ? 0 : 1) << "seed " << seed << ", datagram " << i;
      ASSERT_TRUE(bad ? out.descriptors[i].result == -EPERM : out.descriptors[i].result >= 4)
          << "seed " << seed << ", datagram " << i << ": " << out.descriptors[i].result;
      if (!bad) good++, bytes += static_cast<uint64_t>(out.descriptors[i].result);
    }
    ASSERT_EQ(out.counters[Counter::tx_datagrams], good) << "seed " << seed;
    ASSERT_EQ(out.counters[Counter::tx_bytes], bytes) << "seed " << seed;
    ASSERT_EQ(out.counters[Counter::tx_errors], count - good) << "seed " << seed;
  }
}

}  // namespace
}  // namespace ksocket
