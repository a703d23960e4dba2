#include <cstdio>
#include <cstring>
#include <exception>

#include "commands.h"
#include "control.h"
#include "net.h"

namespace {

struct Command {
  const char* name;
  int (*run)(loadgen::Args&);
  const char* usage;
};

constexpr Command kCommands[] = {
    {"flood", loadgen::flood,
     "--port P[,P|P-P…] [--seconds N] [--size 64] [--gso SEGMENTS] [--sources 1] [--destinations N]\n"
     "        [--batch 64] [--connect]     as fast as it goes; with no --seconds, told by stdin"},
    {"sender-limit", loadgen::flood,
     "as flood: what C can send to one peer (--gso 128) or to many (--port A-B)"},
    {"paced", loadgen::paced,
     "--port P --rate N (--seconds N | --count N) [--size 64] [--spin-us 20]     evenly spaced datagrams"},
    {"pingpong", loadgen::pingpong,
     "--port P [--seconds 2] [--warmup 0.5] [--size 64] [--spin] [--timeout-ms 200]     one outstanding"},
    {"sink", loadgen::sink,
     "[--gro] [--port 0] [--sockets 1] [--hold] [--batch 64] [--rcvbuf BYTES] [--seconds N]     receives"},
    {"echo", loadgen::echo, "[--mode plain|batch|gro] [--spin] [--port 0] [--seconds N]     answers"},
};

int print_usage() {
  fprintf(stderr, "usage: loadgen COMMAND [OPTIONS], on loopback only; prints JSON lines\n");
  for (const Command& command : kCommands) fprintf(stderr, "  %s %s\n", command.name, command.usage);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return print_usage();
  for (const Command& command : kCommands) {
    if (std::strcmp(command.name, argv[1]) != 0) continue;
    try {
      loadgen::prepare_process();
      loadgen::raise_open_files_limit();
      loadgen::Args args(argc, argv, 2);
      return command.run(args);
    } catch (const std::exception& error) {
      fprintf(stderr, "loadgen %s: %s\n", argv[1], error.what());
      return 1;
    }
  }
  return print_usage();
}
