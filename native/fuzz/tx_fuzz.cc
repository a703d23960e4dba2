// Datagrams on their way out: whatever is staged, and whatever the kernel takes or refuses, each datagram
// leaves once or has the error that the kernel said of it; the rest is up to TxKernel.
#include "fuzz/support/tx_kernel.h"
#include "support/ring_memory.h"

namespace ksocket::fuzz {

namespace {

// Most inputs are short, some have more than a super-datagram holds, and few more than a chunk: those take
// their time.
size_t datagrams_max(Random& in) {
  uint32_t kind = in.below(400);
  return kind == 0 ? TxFlush::kChunk + 8 : kind < 5 ? 140 : 9;
}

uint32_t length_of(Random& in) {
  constexpr uint32_t kLengths[] = {0, 1, 2, 3, 100, 100, 100, 101, 1200, 1400, 8000, 65487, 65507};
  return in.one_in(8) ? in.below(65508) : kLengths[in.below(std::size(kLengths))];
}

// Runs of datagrams of one size to one place, back to back or not, some joined as an echo's.
std::vector<Staged> stage(Random& in) {
  std::vector<Staged> out;
  size_t count_max = datagrams_max(in);
  uint32_t offset = 0;
  do {
    Staged one{in.below(kDestinations), 0, length_of(in), 0};
    if (one.length > 1 && in.one_in(8)) {
      uint32_t segments = 2 + in.below(in.one_in(16) ? 126 : 4);
      one.segment_size = static_cast<uint16_t>(one.length / segments + 1);
      if (one.segment_size >= one.length) one.segment_size = 0;
    }
    uint32_t count = in.one_in(3) ? 1 : in.one_in(48) ? 1 + in.below(600) : 1 + in.below(6);
    uint32_t gap = one.length == 0 || in.one_in(4) ? 1 : 0;
    for (; count > 0 && out.size() < count_max; count--) {
      one.offset = offset;
      out.push_back(one);
      offset += one.length + gap;
    }
  } while (in.left() > 0 && out.size() < count_max && !in.one_in(6));
  return out;
}

std::vector<Descriptor> descriptors_of(const std::vector<Staged>& staged, Random& in) {
  std::vector<Descriptor> out(staged.size());
  uint8_t junk = in.one_in(2) ? 0xa5 : 0;  // JavaScript does not clear what it uses again
  for (size_t i = 0; i < staged.size(); i++) {
    Address to = destination(staged[i].to);
    Descriptor& d = out[i];
    write_address(to, &d);
    if (to.family != 6) std::memset(d.address + (to.family == 4 ? 4 : 0), junk, to.family == 4 ? 12 : 16);
    if (to.family != 6) d.scope_id = junk;
    d.offset = staged[i].offset;
    d.length = staged[i].length;
    d.segment_size = staged[i].segment_size;
    d.result = -12345;  // something nobody says
  }
  return out;
}

void check(const Staged& staged, const Descriptor& descriptor) {
  must(descriptor.result != -12345 && descriptor.result != kResultDeferred, "each has a result");
  must(staged.taken <= staged.segments(), "nothing leaves twice");
  if (staged.segments() > 1) return;  // of some of its segments, perhaps
  bool taken = descriptor.result >= 0;
  must((staged.taken == 1) == taken, "a result says that it has left if it has");
  must(taken ? descriptor.result == static_cast<int32_t>(staged.length) : descriptor.result == -staged.error,
       "a result is the length, or what the kernel said");
}

}  // namespace

void run(Random& in) {
  static TxFlush flush;  // a thread has one for its life
  World world(1'000'000'000'000);
  test::CounterRow counters;
  TxSocket socket(7, 6, counters);
  Random staging(in.bytes(in.left() * 3 / 4));
  socket.gso.enabled = !in.one_in(8);
  socket.retry_refused = in.one_in(4);
  std::vector<Staged> staged = stage(staging);
  std::vector<Descriptor> descriptors = descriptors_of(staged, in);
  TxKernel kernel(in, world, staged, socket);

  // The kernel's thread sends some, and what is deferred before others follow.
  for (std::span<Descriptor> rest(descriptors); !rest.empty();) {
    size_t count = in.one_in(3) ? 1 + in.below(static_cast<uint32_t>(rest.size())) : rest.size();
    std::span<Descriptor> some = rest.first(count);
    rest = rest.subspan(count);
    bool settled = flush.send(kernel, socket, kPayloads, some);
    kernel.end_of_flush();
    for (Descriptor& d : some) {
      must(!settled || d.result != kResultDeferred, "what is settled is not deferred");
      while (d.result == kResultDeferred) {
        if (in.one_in(3)) world.pass(uint64_t{in.below(3)} * 6'000'000'000);
        flush.send(kernel, socket, kPayloads, {&d, 1});
        kernel.end_of_flush();
      }
    }
  }

  uint64_t not_taken = 0;
  for (size_t i = 0; i < staged.size(); i++) {
    check(staged[i], descriptors[i]);
    not_taken += staged[i].segments() - staged[i].taken;
  }
  must(counters[Counter::tx_calls] == kernel.calls, "calls are counted");
  must(counters[Counter::tx_datagrams] == kernel.datagrams, "datagrams are counted");
  must(counters[Counter::tx_bytes] == kernel.bytes, "bytes are counted");
  must(counters[Counter::tx_gso_batches] == kernel.joined, "what leaves joined is counted");
  must(counters[Counter::tx_gso_segments] == kernel.joined_segments, "so are its datagrams");
  uint64_t errors = counters[Counter::tx_errors];
  must(socket.retry_refused ? errors >= not_taken : errors == not_taken, "what did not leave is an error");
}

}  // namespace ksocket::fuzz
