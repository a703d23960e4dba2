#include "core/socket/qdiscs.h"

#include <gtest/gtest.h>

namespace ksocket {
namespace {

TEST(Qdiscs, are_found_by_their_kinds) {
  EXPECT_EQ(has_qdisc("noqueue"), 1) << "what loopback has";
  EXPECT_EQ(has_qdisc("noqueu"), 0);
  EXPECT_EQ(has_qdisc("noqueuee"), 0);
  EXPECT_EQ(has_qdisc(""), 0);
}

}  // namespace
}  // namespace ksocket
