#include "core/base/fd.h"

#include <gtest/gtest.h>

#include "support/fake_engine.h"
#include "support/process.h"

namespace ksocket {
namespace {

TEST(Fd, closes_what_it_owns_and_nothing_else) {
  size_t before = test::open_descriptors();
  {
    Fd one = test::dummy_fd(), two = test::dummy_fd();
    EXPECT_EQ(test::open_descriptors(), before + 2);
    Fd moved = std::move(one);
    EXPECT_FALSE(one);
    EXPECT_EQ(test::open_descriptors(), before + 2);
    moved = std::move(two);  // lets go of the first
    EXPECT_EQ(test::open_descriptors(), before + 1);
    Fd& same = moved;
    moved = std::move(same);
    EXPECT_TRUE(moved);
    moved.reset();
    moved.reset();
    EXPECT_FALSE(moved);
    EXPECT_EQ(test::open_descriptors(), before);
  }
  EXPECT_EQ(test::open_descriptors(), before);
  EXPECT_FALSE(Fd());
  EXPECT_FALSE(Fd(-1));
}

}  // namespace
}  // namespace ksocket
