#pragma once

#include <functional>

#include "args.h"
#include "json.h"
#include "tally.h"

namespace loadgen {

// Blocks SIGINT and SIGTERM (call before any thread starts) and asks the kernel for SIGTERM when the
// parent goes away, so that no generator outlives the run that started it.
void prepare_process();

// Runs `work` on a thread of its own and reports about it from this one:
//   stdin "start" → a window begins · "stop" → its result line · "exit", end of file → the process ends
//   SIGTERM, SIGINT, or `--seconds N` over → the result line since the last start, then the end
// The work is never told to stop: the process ends under it. Does not return.
[[noreturn]] void run_under_control(Args& args, const Tally& tally, const JsonLine& ready,
                                    std::function<void()> work);

}  // namespace loadgen
