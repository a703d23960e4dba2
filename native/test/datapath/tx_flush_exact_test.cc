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

// A run of datagrams, and a kernel that refuses some of them, from one seed.
class RandomRun {
 public:
  explicit RandomRun(uint32_t seed) : random_(seed), kernel_(seed), out_(below(4) != 0) {
    out_.socket.retry_refused = below(2) == 0;
    fill();
    make_kernel();
  }

  void send_and_check() {
    bool settled = out_.send();
    std::vector<size_t> order = left();
    size_t deferred = 0;
    for (const Descriptor& d : out_.descriptors) deferred += d.result == kResultDeferred;
    ASSERT_EQ(settled, deferred == 0);
    // Of one destination, nothing leaves behind something that waits.
    std::map<uint16_t, bool> waits;
    for (const Descriptor& d : out_.descriptors) {
      if (d.result == kResultDeferred) waits[d.port] = true;
      ASSERT_FALSE(d.result >= 0 && waits[d.port]);
    }

    full_is_over_ = true;
    ASSERT_TRUE(out_.send_deferred());
    for (size_t index : left()) order.push_back(index);
    check_order(order);
    check_results(order);
  }

 private:
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }

  void fill() {
    uint32_t count = 1 + below(below(10) == 0 ? 1200 : 60);
    uint32_t peers = 1 + below(6);
    uint32_t common = 4 + below(1500);
    for (uint32_t i = 0; i < count; i++) {
      // Long enough for a label that is unique in the run.
      uint32_t bytes = below(3) != 0 ? common : 4 + below(1500);
      std::string label = {static_cast<char>('A' + i % 64), static_cast<char>('A' + i / 64), '#', '#'};
      out_.add(static_cast<int>(1 + below(peers)), label, bytes);
      index_of_[label] = i;
    }
  }

  void make_kernel() {
    out_.engine.limit_send(below(3) == 0 ? 1 + below(5) : SIZE_MAX);
    gso_error_ = below(3) == 0 ? (below(2) == 0 ? EIO : EMSGSIZE) : 0;
    gso_bytes_max_ = below(2) == 0 ? 0 : below(1500);
    bad_one_in_ = below(2) == 0 ? 0 : 2 + below(20);
    signal_one_in_ = below(4) == 0 ? 3 : 0;
    full_after_ = below(2) == 0 ? below(static_cast<uint32_t>(index_of_.size())) : UINT32_MAX;
    out_.engine.on_send([this](const Outgoing& message) { return answer(message); });
  }

  int answer(const Outgoing& m) {
    if (signal_one_in_ != 0 && kernel_() % signal_one_in_ == 0) return EINTR;
    if (gso_error_ != 0 && m.segment_size > gso_bytes_max_) return gso_error_;
    if (!full_is_over_ && accepted_ >= full_after_) return EAGAIN;
    // The same datagram is always bad: alone it says so, joined it spoils the lot.
    for (size_t at = 0; at < m.data.size(); at += each(m)) {
      if (is_bad(index_of_.at(m.data.substr(at, 4)))) return EPERM;
    }
    accepted_++;
    return 0;
  }
  bool is_bad(size_t index) const { return bad_one_in_ != 0 && index % bad_one_in_ == 1; }
  static size_t each(const Outgoing& m) { return m.segment_size != 0 ? m.segment_size : m.data.size(); }

  // The datagrams that left, in order, with checks on their bytes.
  std::vector<size_t> left() {
    std::vector<size_t> order;
    for (const Outgoing& m : out_.engine.take_sent()) {
      for (size_t at = 0; at < m.data.size(); at += each(m)) {
        std::string data = m.data.substr(at, each(m));
        size_t index = index_of_.at(data.substr(0, 4));
        std::string expected = data.substr(0, 4);
        expected.resize(data.size(), '.');
        EXPECT_EQ(data, expected);
        EXPECT_EQ(m.to.port, out_.descriptors[index].port);
        order.push_back(index);
      }
    }
    return order;
  }

  void check_order(const std::vector<size_t>& order) {
    std::map<uint16_t, size_t> latest;
    for (size_t index : order) {
      size_t& last = latest[out_.descriptors[index].port];
      ASSERT_TRUE(last == 0 || index + 1 > last) << "datagram " << index << " overtook";
      last = index + 1;
    }
  }

  void check_results(const std::vector<size_t>& order) {
    std::vector<int> times(index_of_.size(), 0);
    for (size_t index : order) times[index]++;
    uint64_t good = 0, bytes = 0;
    for (size_t i = 0; i < times.size(); i++) {
      int32_t result = out_.descriptors[i].result;
      ASSERT_EQ(times[i], is_bad(i) ? 0 : 1) << "datagram " << i;
      ASSERT_TRUE(is_bad(i) ? result == -EPERM : result >= 4) << "datagram " << i << ": " << result;
      if (!is_bad(i)) good++, bytes += static_cast<uint64_t>(result);
    }
    ASSERT_EQ(out_.counters[Counter::tx_datagrams], good);
    ASSERT_EQ(out_.counters[Counter::tx_bytes], bytes);
    ASSERT_EQ(out_.counters[Counter::tx_errors], times.size() - good);
  }

  std::mt19937 random_, kernel_;
  Outbox out_;
  std::map<std::string, size_t> index_of_;
  int gso_error_ = 0;
  uint32_t gso_bytes_max_ = 0, bad_one_in_ = 0, signal_one_in_ = 0, full_after_ = 0, accepted_ = 0;
  bool full_is_over_ = false;
};

// Whatever the kernel does: each datagram is sent once, or its result says why not, or it waits; none
// overtakes another of its destination; the counters add up.
TEST(TxFlush, is_exact_about_every_datagram_whatever_the_kernel_refuses) {
  for (uint32_t seed = 0; seed < (test::kThreadSanitizer ? 400 : 2000); seed++) {
    RandomRun(seed).send_and_check();
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace ksocket
