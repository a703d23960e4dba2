#include <gtest/gtest.h>

#include <cstring>

#include "support/child.h"

// What the sanitizers do in every run of the suite, however it is started.
extern "C" const char* __tsan_default_options() {
  return "second_deadlock_stack=1";
}
extern "C" const char* __ubsan_default_options() {
  return "print_stacktrace=1";
}

int main(int argc, char** argv) {
  // A child of a test, in a process of its own: see support/child.h.
  if (argc > 2 && std::strcmp(argv[1], "--child") == 0) return ksocket::test::run_child(argv[2]);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
