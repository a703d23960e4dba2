#include "support/child.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <map>

#include "support/seccomp.h"

namespace ksocket::test {

namespace {

std::map<std::string, int (*)()>& children() {
  static std::map<std::string, int (*)()> all;  // a function's static: other files' Childs come first
  return all;
}

}  // namespace

Child::Child(const char* name, int (*body)()) {
  children()[name] = body;
}

int run_child(const char* name) {
  auto found = children().find(name);
  if (found == children().end()) {
    std::fprintf(stderr, "no child '%s'\n", name);
    return 64;
  }
  return found->second();
}

ChildResult run_in_child(const char* name, std::span<const int> refused_calls, int refused_with) {
  int ends[2];
  if (pipe(ends) < 0) return {-1, "pipe failed"};
  pid_t pid = fork();
  if (pid == 0) {
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    if (!refused_calls.empty() && refuse_system_calls(refused_calls, refused_with) != 0) _exit(126);
    execl("/proc/self/exe", "native_tests", "--child", name, static_cast<char*>(nullptr));
    _exit(127);
  }
  close(ends[1]);
  ChildResult result;
  char buffer[4096];
  for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
    result.output.append(buffer, static_cast<size_t>(n));
  close(ends[0]);
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) < 0) return {-1, "fork or waitpid failed"};
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace ksocket::test
