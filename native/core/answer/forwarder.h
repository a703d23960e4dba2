// Forwards datagrams to back ends and their answers back to the clients, as a NAT does: each client gets a
// socket of its own towards the back end (a flow), so that an answer says by the socket it comes to whose it
// is.
//
// Bounded: at most `flows_max` flows, and none whose descriptor the process may soon need (kept_free()). One
// that was idle for too long is closed. Where there is no place for a new client, or the kernel has none for
// its socket, a flow makes room: the least recently used of those of which no request was answered, else of
// those of which one was. A spoofed source has no second one answered, so a client of whom two were keeps its
// flow, come what may; if there are only such, the datagram is dropped and counted.
//
// What is passed on has a hop less to go than when it came, as behind a router (RFC 1812, 5.3.1): what is
// sent in a circle of forwarders, through flows that are all open, stops there.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/answer/answers.h"
#include "core/answer/flow_row.h"
#include "core/answer/responder.h"
#include "core/base/fd.h"

namespace ksocket {

// Descriptors, of a process that may have `limit`, that flows leave to it: files, pipes and other sockets.
constexpr uint64_t kept_free(uint64_t limit) {
  return std::min<uint64_t>(limit / 4, 1024);
}

class Forwarder {
 public:
  enum class Balance : uint8_t { source, round_robin, all };

  struct Options {
    std::vector<Address> targets;  // at least one
    Balance balance = Balance::source;
    uint64_t idle_ns = 60'000'000'000;
    uint32_t flows_max = 4096;

    bool operator==(const Options& other) const = default;
  };

  // What its responder does for it.
  struct Host {
    // Watches a flow's descriptor as the responder's, with this key; 0 or -errno.
    std::function<int(int fd, uint32_t key)> watch;
    std::function<void(int fd)> unwatch;
    // Closes a flow of another forwarder. Is there room now? Empty: there is no other.
    std::function<bool()> make_room = {};
    LoopGuard* loops = nullptr;  // null: a flow may be a client
  };

  // Of memory, for each of `flows_max`.
  static constexpr size_t kPlaceBytes = sizeof(void*) + 2 * sizeof(uint32_t);

  // `first_key`: the keys of this forwarder are first_key … first_key + flows_max - 1.
  Forwarder(Options options, uint32_t first_key, Host host, bool offloads, Counters counters);
  ~Forwarder();

  // A client's datagram (or super-datagram), `offset` bytes behind the `base` that flush() is given, that
  // came with a hop limit of `hops`; 0: nobody knows. `asked`: where it was sent to, if that is known.
  void forward(const Address& client, const uint8_t* base, uint32_t offset, uint32_t length,
               uint16_t segment_size, uint8_t hops, uint64_t now_ns, const PacketInfo* asked = nullptr);
  // Sends what was forwarded since the last call.
  void flush(const ResponderTools& tools, const uint8_t* base);

  bool owns(uint32_t key) const { return key - first_key_ < flows_.size(); }
  // A back end has answered: the answers go to the client through `to_clients`, a socket of `client_family`.
  void ready(const ResponderTools& tools, uint32_t key, Answers& to_clients, uint64_t now_ns);

  // Closes the flows that have been idle for too long. To be called about once a second.
  void expire(uint64_t now_ns);
  // Closes a flow, if there is one that may be. Is there room now?
  bool make_room();
  size_t open() const { return open_; }
  const Options& options() const { return options_; }

  // Hand-over (forwarder_hand_over.cc): `rule` is named in the rows as by rule_of().
  static uint64_t rule_of(const std::string& name, const Options& options);
  // The rows of the flows at places from `first` on, at most `rows_max`, behind those of `out`, with a copy
  // of each descriptor that nobody has who knows `known`. The place to go on with; or -errno, then they are
  // as they were.
  int64_t put_rows(uint64_t rule, uint32_t first, size_t rows_max, const KnownFlows& known, uint64_t now_ns,
                   std::vector<FlowRow>* out) const;
  // A flow that another process has, or has had. It rests until begin(). With `fd` it is new; without, its
  // numbers are.
  void take(const FlowRow& row, Fd fd, uint64_t now_ns);
  // All rows are here: of the flows that were taken those that were in none since the latest mark_absent()
  // are closed.
  void mark_absent();
  void settle();
  // Those that were taken are read from now on.
  void begin();
  // What the kernel drops of the flows' answers is another process's to count from now on, and taken back.
  void stop_drops();
  void count_drops();

 private:
  struct Flow;
  // A target that is decided when the flow opens.
  static constexpr uint32_t kNextTarget = UINT32_MAX;
  // Answered requests after which a flow is not evicted.
  static constexpr uint32_t kAnswersToStay = 2;
  // A flow that is said to be readable so often, and from which nothing can be received, rests until the
  // next expire(): it would keep the thread running for nothing.
  static constexpr uint32_t kFailuresToRest = 16;
  struct Key {
    Address client;
    uint32_t target;
    bool operator==(const Key& other) const { return target == other.target && client == other.client; }
  };
  struct KeyHash {
    uint64_t seed;
    size_t operator()(const Key& key) const;
  };

  struct Part {
    const uint8_t* base;
    uint32_t offset;
    uint32_t length;
    uint16_t segment_size;
    uint8_t hops;
    const PacketInfo* asked;
  };
  void send_to(uint32_t target, const Address& client, const Part& part, uint64_t now_ns);
  Flow* find(const Key& key, const Part& part, uint64_t now_ns);
  Flow* open_flow(const Key& key, const Part& part, uint64_t now_ns);
  Flow* add(std::unique_ptr<Flow> flow);
  int open_socket(const Address& target, Fd* out, Address* name);
  bool came_too_far(const Part& part);
  static void limit_hops(Flow& flow, uint8_t hops);
  void touch(Flow& flow, uint64_t now_ns);
  void failed(uint32_t place, int error);
  void close_flow(uint32_t place);
  void end_rest(uint32_t place);
  std::unique_ptr<Flow> flow_of(const FlowRow& row, Fd fd) const;

  const Options options_;
  const uint32_t first_key_;
  const Host host_;
  const bool offloads_;
  const Counters counters_;

  std::vector<std::unique_ptr<Flow>> flows_;  // null: a free place
  std::vector<uint32_t> free_;
  std::unordered_map<Key, uint32_t, KeyHash> places_;
  std::list<uint32_t>
      evictable_[kAnswersToStay];  // places by answered requests, the least recently used first
  std::vector<uint32_t> touched_;  // by forward(), since the last flush()
  size_t open_ = 0;
  uint32_t next_target_ = 0;
  uint64_t latest_serial_ = 0;
};

}  // namespace ksocket
