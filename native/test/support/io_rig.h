// An I/O thread with everything around it that JavaScript provides: memory, counters, socket ids, and
// somebody who reads the ring when woken.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/thread/io_thread.h"
#include "support/ring_memory.h"
#include "support/ring_reader.h"
#include "support/waiting.h"

namespace ksocket::test {

inline uint64_t get(const Endpoint& endpoint, Counter counter) {
  return endpoint.counters.get(counter);
}

struct Received {
  Descriptor descriptor;
  std::string data;
};

class IoRig {
 public:
  struct Options {
    uint32_t slots = 1024;
    uint32_t arena_bytes = 8 << 20;
    IoThread::Options thread;
    std::function<void()> on_wake;  // runs in the I/O thread, besides the bell
  };

  IoRig(std::unique_ptr<Engine> engine, Options options)
      : buffers_(options.slots, options.arena_bytes),
        reader(buffers_.memory()),
        thread(std::move(engine), buffers_.memory(), thread_counters, options.thread,
               [this, on_wake = std::move(options.on_wake)] {
                 if (on_wake) on_wake();
                 bell.ring();
               }) {}

  // Makes the descriptor a socket of the thread, not watched yet. Ids have a generation, as JavaScript's
  // have.
  std::shared_ptr<Endpoint> add(Fd fd, uint8_t family = 4) {
    uint32_t slot = static_cast<uint32_t>(rows_.size() + 1);
    auto endpoint =
        std::make_shared<Endpoint>(slot | 7 << kSocketSlotBits, family, std::move(fd), rows_.emplace_back());
    thread.add(endpoint);
    return endpoint;
  }

  // Reads what there is, once, and lets the thread go on if it waits.
  RingReader::Drained drain(uint32_t budget = RingReader::kNoLimit) {
    auto drained = reader.drain(
        [&](const Descriptor& d, std::span<const uint8_t> data) {
          records.push_back({d, {data.begin(), data.end()}});
        },
        budget);
    if (drained.resume) thread.resume();
    return drained;
  }

  // Reads whenever woken until `enough()`. False when that takes too long.
  template <typename Enough>
  [[nodiscard]] bool read_until(Enough&& enough) {
    for (;;) {
      while (drain().more) {
      }
      if (enough()) return true;
      if (!bell.wait()) return false;
    }
  }
  [[nodiscard]] bool read_records(size_t count) {
    return read_until([&] { return records.size() >= count; });
  }

  std::vector<std::string> data() const {
    std::vector<std::string> out;
    for (const Received& each : records) out.push_back(each.data);
    return out;
  }

 private:
  RingBuffers buffers_;
  std::deque<CounterRow> rows_;  // their addresses do not change

 public:
  CounterRow thread_counters;
  Bell bell;
  RingReader reader;
  std::vector<Received> records;
  IoThread thread;  // last: its thread ends before what it works on goes
};

// Datagrams to send, staged as lib/thread/sender.ts does.
struct Staged {
  std::vector<Descriptor> descriptors;
  std::vector<uint8_t> payloads;

  Staged& add(const Address& to, const std::string& data, uint64_t number = 0) {
    Descriptor& d = descriptors.emplace_back();
    write_address(to, &d);
    d.offset = static_cast<uint32_t>(payloads.size());
    d.length = static_cast<uint32_t>(data.size());
    d.user_data = number;
    payloads.insert(payloads.end(), data.begin(), data.end());
    return *this;
  }
  uint32_t send(IoThread& thread, Endpoint& from) { return thread.send(from, payloads.data(), descriptors); }
  std::vector<int32_t> results() const {
    std::vector<int32_t> out;
    for (const Descriptor& d : descriptors) out.push_back(d.result);
    return out;
  }
};

}  // namespace ksocket::test
