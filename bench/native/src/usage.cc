#include "usage.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

namespace loadgen {

static uint64_t microseconds(const timeval& t) {
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000 + static_cast<uint64_t>(t.tv_usec);
}

Usage Usage::now(const Tally& tally) {
  rusage used;
  getrusage(RUSAGE_SELF, &used);
  return {now_ns(),          microseconds(used.ru_utime), microseconds(used.ru_stime), tally.count.get(),
          tally.bytes.get(), tally.calls.get(),           tally.refused.get()};
}

uint64_t resident_bytes() {
  unsigned long size = 0, resident = 0;
  if (FILE* statm = fopen("/proc/self/statm", "r")) {
    if (fscanf(statm, "%lu %lu", &size, &resident) != 2) resident = 0;
    fclose(statm);
  }
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

JsonLine result_line(const Usage& from, const Usage& to) {
  JsonLine extra;
  extra.add("calls", to.calls - from.calls).add("refused", to.refused - from.refused);
  JsonLine line;
  line.add("event", "result")
      .add("count", to.count - from.count)
      .add("bytes", to.bytes - from.bytes)
      .add("seconds", static_cast<double>(to.time_ns - from.time_ns) / 1e9)
      .add("cpuUserUs", to.user_us - from.user_us)
      .add("cpuSysUs", to.sys_us - from.sys_us)
      .add("rss", resident_bytes())
      .add("extra", extra);
  return line;
}

}  // namespace loadgen
