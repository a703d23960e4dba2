// Super-datagrams whose datagrams are cut, each to a record of its own, where nothing may be dropped.
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <string>

#include "core/base/kernel_names.h"
#include "core/socket/options.h"
#include "support/engines.h"
#include "support/io_rig.h"
#include "support/loopback.h"

namespace ksocket {
namespace {

class CutSuperDatagram : public test::OnEachEngine {};
INSTANTIATE_TEST_SUITE_P(, CutSuperDatagram, test::both_engines(), test::engine_name);

// Many more records than the ring has slots, and a reader that looks only when it is woken.
TEST_P(CutSuperDatagram, loses_nothing_however_many_datagrams_the_sender_joined) {
  test::IoRig rig(make_engine(), {});
  auto socket = rig.add(test::bound_socket());
  socket->keep_bytes_max = 1;
  if (set_option(socket->fd.get(), 4, SocketOption::gro, 1) != 0) GTEST_SKIP() << "no UDP_GRO";
  test::Peer peer;
  int segment = 2;
  if (setsockopt(peer.fd(), SOL_UDP, UDP_SEGMENT, &segment, sizeof segment) != 0) GTEST_SKIP() << "no GSO";

  constexpr size_t kMessages = 40;
  Address to = test::name_of(socket->fd.get());
  size_t joined = peer.send(to, std::string(size_t{2} * 128, 'x')) ? 128 : 64;  // older kernels take 64
  for (size_t i = joined == 128 ? 1 : 0; i < kMessages; i++) {
    ASSERT_TRUE(peer.send(to, std::string(size_t{2} * joined, 'x')));
  }
  ASSERT_EQ(rig.thread.start(), 0);
  ASSERT_EQ(rig.thread.watch(*socket), 0);
  ASSERT_TRUE(rig.read_records(kMessages * joined));
  EXPECT_EQ(rig.records.size(), kMessages * joined);
  EXPECT_EQ(socket->counters.get(Counter::rx_ring_drops), 0u);
  EXPECT_EQ(socket->counters.get(Counter::rx_datagrams), kMessages * joined);
}

}  // namespace
}  // namespace ksocket
