// A large table costs memory only where it is touched.
#include "core/base/zeroed.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdint>
#include <vector>

namespace ksocket {
namespace {

struct Row {
  uint64_t key = 0;
  uint32_t value = 0;
};

constexpr size_t kRows = 1 << 16;

// Of the pages that the rows fill alone.
size_t resident_pages(const Row* rows) {
  size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  uintptr_t first = (reinterpret_cast<uintptr_t>(rows) + page - 1) / page * page;
  std::vector<unsigned char> states(kRows * sizeof(Row) / page - 1);
  EXPECT_EQ(mincore(reinterpret_cast<void*>(first), states.size() * page, states.data()), 0);
  size_t resident = 0;
  for (unsigned char state : states) resident += state & 1;
  return resident;
}

TEST(Zeroed, costs_memory_where_it_is_touched) {
  ASSERT_EQ(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);  // a huge page would be all of it
  for (int round = 0; round < 3; round++) {             // calloc(3) would keep what was freed, and clear it
    Zeroed<Row> rows(kRows);
    EXPECT_EQ(resident_pages(rows.data()), 0u);
    rows[kRows / 2].value = 1;
    EXPECT_EQ(resident_pages(rows.data()), 1u);
  }
  prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
}

TEST(Zeroed, is_zeroes_in_memory_that_was_used_before) {
  for (int round = 0; round < 3; round++) {
    Zeroed<Row> rows(kRows);
    for (size_t i = 0; i < kRows; i++) {
      ASSERT_EQ(rows[i].key, 0u);
      ASSERT_EQ(rows[i].value, 0u);
      rows[i] = {1, 1};
    }
  }
}

}  // namespace
}  // namespace ksocket
