#include "core/datapath/incoming.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "support/fake_engine.h"

namespace ksocket {
namespace {

using Ranges = std::vector<std::pair<uint32_t, uint32_t>>;

Ranges datagrams_of(const Incoming& incoming) {
  Ranges out;
  for_each_datagram(incoming, [&](uint32_t offset, uint32_t length) { out.emplace_back(offset, length); });
  return out;
}

TEST(Incoming, is_one_datagram_or_several) {
  EXPECT_EQ(datagrams_of({100, 50, 0, {}}), (Ranges{{100, 50}}));
  EXPECT_EQ(datagrams_of({100, 0, 0, {}}), (Ranges{{100, 0}})) << "an empty one, too";
  EXPECT_EQ(datagrams_of({100, 50, 20, {}}), (Ranges{{100, 20}, {120, 20}, {140, 10}}));
}

TEST(Incoming, has_parts_of_which_the_same_was_said) {
  Incoming whole{100, 50, 20, test::address_of("127.0.0.1", 7), {.ttl = 61}};
  Incoming part = whole.part(120, 20, 0);
  EXPECT_EQ(datagrams_of(part), (Ranges{{120, 20}}));
  EXPECT_TRUE(part.from == whole.from);
  EXPECT_EQ(part.metadata.ttl, 61);
}

}  // namespace
}  // namespace ksocket
