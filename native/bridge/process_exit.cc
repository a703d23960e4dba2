#include "bridge/process_exit.h"

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <utility>
#include <vector>

namespace ksocket {

namespace {

struct Registry {
  std::mutex mutex;
  std::vector<OnProcessExit*> all;  // guarded by mutex
};

// Never destroyed: workers may still come here while the process's statics are.
Registry& registry() {
  static auto* const made = new Registry;
  return *made;
}

}  // namespace

OnProcessExit::OnProcessExit(std::function<void()> callback) : callback_(std::move(callback)) {
  static const bool registered = [] {
    std::atexit(&OnProcessExit::run_all);
    std::at_quick_exit(&OnProcessExit::run_all);  // as some runtimes end
    return true;
  }();
  (void)registered;
  std::lock_guard lock(registry().mutex);
  registry().all.push_back(this);
}

OnProcessExit::~OnProcessExit() {
  std::lock_guard lock(registry().mutex);
  std::erase(registry().all, this);
}

void OnProcessExit::run_all() {
  std::lock_guard lock(registry().mutex);
  for (const OnProcessExit* each : registry().all) {
    if (each->thread_ == std::this_thread::get_id()) each->callback_();
  }
}

}  // namespace ksocket
