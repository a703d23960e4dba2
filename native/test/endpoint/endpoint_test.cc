// What a socket costs that nothing comes to.
#include "core/endpoint/endpoint.h"

#include <gtest/gtest.h>

namespace ksocket {
namespace {

TEST(Endpoint, has_no_room_yet_for_what_few_sockets_need) {
  EXPECT_LE(sizeof(Endpoint), 448u);
}

}  // namespace
}  // namespace ksocket
