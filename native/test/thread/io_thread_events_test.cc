// What the I/O thread does for what the engine tells it, and what not.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <span>

#include "core/answer/responder.h"
#include "support/fake_io_rig.h"
#include "support/io_rig.h"

namespace ksocket {
namespace {

using test::get;
using test::kPeer;

TEST(IoThreadEvents, where_a_socket_can_be_sent_on_only_nothing_is_received) {
  test::FakeIoRig rig;
  test::SlowSocket slow(rig);
  test::Staged staged;
  ASSERT_EQ(staged.add(kPeer, "late", 1).send(rig.thread, *slow.endpoint), 1u);
  slow.drain();
  ASSERT_TRUE(rig.read_records(1));
  EXPECT_EQ(rig.records[0].descriptor.kind, DescriptorKind::sent);
  EXPECT_EQ(get(*slow.endpoint, Counter::rx_calls), 0u);
}

class Ticking : public Responder {
 public:
  Ticking(bool wants, std::atomic<int>& ticks) : wants_(wants), ticks_(ticks) {}
  std::span<const Incoming> answer(const ResponderTools&, const uint8_t*,
                                   std::span<const Incoming> batch) override {
    return batch;
  }
  bool wants_ticks() const override { return wants_; }
  void tick() override { ticks_++; }

 private:
  bool wants_;
  std::atomic<int>& ticks_;
};

TEST(IoThreadEvents, who_wants_ticks_gets_them_though_nothing_comes_and_nobody_else) {
  test::FakeIoRig rig;
  std::atomic<int> wanted{0}, unwanted{0};
  for (auto* ticks : {&wanted, &unwanted}) {
    auto endpoint = rig.add(test::dummy_fd());
    endpoint->responder = std::make_unique<Ticking>(ticks == &wanted, *ticks);
    ASSERT_EQ(rig.thread.watch(*endpoint), 0);
  }
  EXPECT_TRUE(test::eventually([&] { return wanted >= 2; }));
  EXPECT_EQ(unwanted, 0);
}

}  // namespace
}  // namespace ksocket
