// simulate [--seed N] [--steps M | --seconds S] [--kind NAME] [--shrink]: scenarios of each kind with the
// seeds N, N + 1, …, until so many steps are made or so long. Prints what failed, and how to see it again;
// the last line is `N passed, N failed`, a kind each.
#include <unistd.h>

#include <chrono>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "simulate/scenario.h"

using namespace ksocket::simulate;

namespace {

constexpr uint64_t kStepsOfScenario = 600;
constexpr uint64_t kScenariosOfTurn = 20;

struct Arguments {
  uint64_t seed = 1;
  uint64_t steps = UINT64_MAX;
  double seconds = 60;
  bool traces = false;
  std::string kind;
};

// What a crash says.
char running[128];
void on_crash(int signal) {
  [[maybe_unused]] ssize_t ignored = write(STDERR_FILENO, running, std::strlen(running));
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

bool read_arguments(int argc, char** argv, Arguments* out) {
  for (int i = 1; i + 1 < argc; i += 2) {
    std::string name = argv[i];
    const char* value = argv[i + 1];
    if (name == "--seed") {
      out->seed = std::strtoull(value, nullptr, 10);
    } else if (name == "--steps") {
      out->steps = std::strtoull(value, nullptr, 10);
    } else if (name == "--seconds") {
      out->seconds = std::strtod(value, nullptr);
    } else if (name == "--trace") {
      out->traces = *value == '1';
    } else if (name == "--kind") {
      out->kind = value;
    } else {
      return false;
    }
  }
  return argc % 2 == 1;
}

struct Tally {
  uint64_t steps = 0, scenarios = 0, received = 0, sent = 0, calls = 0, records = 0;
};

// One scenario. False when something was wrong.
bool run_seed(const KindName& kind, uint64_t seed, bool traces, Tally* tally) {
  std::snprintf(running, sizeof running, "✖ %s: died\n      --kind %s --seed %" PRIu64 " --steps 1\n",
                kind.name, kind.name, seed);
  Decisions decisions(seed);
  Result result = run(kind.kind, decisions, kStepsOfScenario, traces);
  tally->steps += result.steps;
  tally->scenarios++;
  tally->received += result.received;
  tally->sent += result.sent;
  tally->calls += result.calls;
  tally->records += result.records;
  if (result.failure.empty()) return true;
  std::printf("✖ %s: %s\n      --kind %s --seed %" PRIu64 " --steps 1\n", kind.name, result.failure.c_str(),
              kind.name, seed);
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!read_arguments(argc, argv, &arguments)) {
    std::fprintf(stderr, "simulate [--seed N] [--steps M] [--seconds S] [--kind NAME]\n");
    return 2;
  }
  for (int signal : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE}) std::signal(signal, on_crash);
  auto begin = std::chrono::steady_clock::now();
  auto elapsed = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  Tally tally;
  bool failed[16] = {}, ran[16] = {}, goes_on = true;
  for (uint64_t seed = arguments.seed;
       goes_on && tally.steps < arguments.steps && elapsed() < arguments.seconds; seed += kScenariosOfTurn) {
    goes_on = false;
    for (size_t k = 0; k < kinds().size(); k++) {
      const KindName& kind = kinds()[k];
      if (!arguments.kind.empty() && arguments.kind != kind.name) continue;
      for (uint64_t i = 0; i < kScenariosOfTurn && !failed[k] && tally.steps < arguments.steps; i++) {
        ran[k] = true;
        failed[k] = !run_seed(kind, seed + i, arguments.traces, &tally);
      }
      goes_on = goes_on || !failed[k];
    }
  }
  int passes = 0, failures = 0;
  for (size_t k = 0; k < kinds().size(); k++) (failed[k] ? failures : passes) += ran[k];
  std::printf("simulation: %" PRIu64 " steps in %" PRIu64 " scenarios, %.0f steps a second; %" PRIu64
              " datagrams received, %" PRIu64 " sent, %" PRIu64 " records, %" PRIu64 " calls of the kernel\n",
              tally.steps, tally.scenarios, static_cast<double>(tally.steps) / elapsed(), tally.received,
              tally.sent, tally.records, tally.calls);
  std::printf("%d passed, %d failed\n", passes, failures);
  return failures > 0 || passes == 0 ? 1 : 0;
}
