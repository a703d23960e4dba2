// As fast as the kernel takes it: the load of the receive scenarios, and the C limit of the send scenarios.
#include <stdexcept>

#include "commands.h"
#include "control.h"
#include "transmitter.h"

namespace loadgen {

int flood(Args& args) {
  TransmitOptions options;
  options.ports = args.ports("port");
  options.size = args.number("size", options.size);
  options.segments = args.number("gso", options.segments);
  options.sources = args.number("sources", options.sources);
  options.batch = args.number("batch", options.batch);
  options.connected = args.flag("connect");
  const size_t destinations = args.number("destinations", options.ports.size());
  if (destinations > options.ports.size()) {
    if (options.ports.size() != 1) throw std::invalid_argument("--destinations counts on from one --port");
    for (size_t i = 1; i < destinations; i++) {
      options.ports.push_back(static_cast<uint16_t>(options.ports[0] + i));
    }
  }
  options.ports.resize(destinations);

  Transmitter transmitter(options);
  Tally tally;
  JsonLine ready;
  ready.add("event", "ready").add("segments", static_cast<uint64_t>(transmitter.segments()));
  run_under_control(args, tally, ready, [&] {
    for (;;) transmitter.send_batch(tally);
  });
}

}  // namespace loadgen
