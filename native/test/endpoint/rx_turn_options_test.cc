// When a socket gets the options that only help where there is traffic.
#include <gtest/gtest.h>

#include "core/socket/options.h"
#include "support/sharing_rig.h"

namespace ksocket {
namespace {

bool reports_drops(const Endpoint& endpoint) {
  int value = -1;
  EXPECT_EQ(get_option(endpoint.fd.get(), 4, SocketOption::report_kernel_drops, &value), 0);
  return value == 1;
}

TEST(RxTurnOptions, are_set_with_the_second_batch) {
  test::SharingRig rig;
  auto socket = rig.add();
  rig.send(*socket);
  EXPECT_TRUE(rig.receive_on_loop(*socket));
  EXPECT_FALSE(reports_drops(*socket)) << "a socket for one answer does not pay for them";
  rig.send(*socket);
  EXPECT_TRUE(rig.receive_on_loop(*socket));
  EXPECT_TRUE(reports_drops(*socket));
}

TEST(RxTurnOptions, are_set_with_the_first_batch_of_several) {
  test::SharingRig rig;
  auto socket = rig.add();
  rig.send(*socket, 2);
  EXPECT_TRUE(rig.receive_on_loop(*socket));
  EXPECT_TRUE(reports_drops(*socket));
}

}  // namespace
}  // namespace ksocket
