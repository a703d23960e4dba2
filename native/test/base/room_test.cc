#include "core/base/room.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>

namespace ksocket {
namespace {

// Of this process, in bytes.
size_t address_space() {
  size_t pages = 0;
  FILE* file = fopen("/proc/self/statm", "r");
  if (file == nullptr || fscanf(file, "%zu", &pages) != 1) pages = 0;
  if (file != nullptr) fclose(file);
  return pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

TEST(Room, is_what_the_limit_leaves) {
  constexpr size_t kLeft = size_t{64} << 20;
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    rlimit limit{address_space() + kLeft, RLIM_INFINITY};
    if (limit.rlim_cur == kLeft || setrlimit(RLIMIT_AS, &limit) != 0) _exit(2);
    bool right = has_room(kLeft / 2) && has_room(kLeft / 2) && !has_room(kLeft - kSpareBytes / 2);
    _exit(right ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(Room, there_is_none_for_more_than_there_can_be) {
  EXPECT_FALSE(has_room(SIZE_MAX));
  EXPECT_FALSE(has_room(SIZE_MAX - kSpareBytes));
}

}  // namespace
}  // namespace ksocket
