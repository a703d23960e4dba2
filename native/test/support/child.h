// Code of a test that has to run in a process of its own, because what it does to the process cannot be
// undone.
//
// The test program executes itself once more: unlike a bare fork() that is allowed to every sanitizer,
// threads and all, and the child starts with no state of the parent's.
#pragma once

#include <functional>
#include <span>
#include <string>

namespace ksocket::test {

// Registers `body` under `name`; its result is the child's exit status.
struct Child {
  Child(const char* name, int (*body)());
};

struct ChildResult {
  int status = -1;     // exit status; 128 + signal when it was killed
  std::string output;  // stdout and stderr
};
// Executes the child `name` with these system calls refused.
ChildResult run_in_child(const char* name, std::span<const int> refused_calls, int refused_with);

// For main().
int run_child(const char* name);

}  // namespace ksocket::test
