// The thread that sits in the kernel's receive call, as the kernel thread of the original module did. It
// serves any number of sockets.
//
//   start() ──▶ wait ──▶ for each ready socket: receive a batch · send its backlog ──▶ publish, wake ──▶ wait
//   … stop(): flag → wake → join → close every descriptor
//
// All methods are for the thread that created it (the JavaScript thread), except where noted.
#pragma once

#include <pthread.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "core/base/clock.h"
#include "core/datapath/peer_table.h"
#include "core/endpoint/endpoint.h"
#include "core/endpoint/endpoint_table.h"
#include "core/endpoint/rx_turn.h"
#include "core/endpoint/watches.h"
#include "core/memory/counters.h"
#include "core/memory/rx_ring.h"
#include "core/sharing/loop_sharing.h"
#include "core/sharing/step_aside.h"
#include "core/thread/forward_pace.h"
#include "core/thread/postponed.h"
#include "core/thread/schedule.h"
#include "core/thread/ticker.h"
#include "engine/engine.h"

namespace ksocket {

class IoThread {
 public:
  struct Options {
    uint32_t peers_max = kPeersMax;  // a power of two
    Moderation::Options moderation;
    uint32_t busy_poll_us = 0;  // how long to look for datagrams without sleeping
  };

  // `wake` is called on the I/O thread when JavaScript has something to read and does not know it yet.
  IoThread(std::unique_ptr<Engine> engine, const RingMemory& memory, Counters counters, Options options,
           std::function<void()> wake);
  ~IoThread() { stop(); }

  // 0, or -errno of pthread_create(3).
  int start();
  // While it runs, as set_cpus() and set_fifo_priority() of schedule.h.
  int set_cpus(std::span<const uint32_t> cpus) { return ksocket::set_cpus(thread_, cpus); }
  int set_priority(int priority) { return set_fifo_priority(thread_, priority); }
  // Joins the thread and closes every socket. Safe to call twice.
  void stop();
  bool running() const { return running_; }

  // Lets this event loop receive, too, from now on; before start(). It has to call receive_on_loop() when the
  // kernel says so, and stop() ends it.
  void share(const LoopPoll& loop) {
    if (!engine_->traits().exclusive) return;
    sharing_.start(loop);
    step_aside_.enable();
  }
  // One batch of the socket that has this place, on the JavaScript thread. True: it has to read the ring now,
  // nobody will wake it.
  bool receive_on_loop(uint32_t place) { return sharing_.receive_on_loop(place); }
  // Once it has: the same of what came meanwhile, of what comes now, or, while that pays, at once.
  Look look_now() { return sharing_.look_now(); }
  Look look_again() { return sharing_.look_again(std::exchange(has_sent_, false)); }
  // The loop is about to wait: what it was not watched for so far now is.
  void before_poll() { sharing_.before_poll(); }
  // As Chunks::give() and give_to().
  void give_chunk(uint32_t place, uint8_t* memory, uint32_t socket_id) {
    sharing_.chunks().give(place, memory, socket_id);
  }
  void give_chunks_to(uint32_t socket_id) { sharing_.chunks().give_to(socket_id); }

  // What one takes of memory, about, its stack and the ring besides; and its first local socket.
  static constexpr size_t kBytes = RxBatch::kBytes + (size_t{4} << 20);
  size_t local_bytes() const { return turn_.has_local_batch() ? 0 : RxBatch::kBytes; }

  // Makes the endpoint known, so that it can send. Its slot is its id's low bits; the slot must be free.
  void add(std::shared_ptr<Endpoint> endpoint) {
    if (endpoint->family == kLocal) {
      turn_.make_local_batch();
      endpoint->local =
          std::make_unique<LocalParts>(*engine_, endpoint->id, [this](int by) { watches_.count_duty(by); });
    }
    table_.add(std::move(endpoint));
  }
  // Starts receiving. 0 or -errno.
  int watch(Endpoint& endpoint);
  // From now on, about once a second, its counters have what the kernel dropped, though nothing comes.
  void tick(Endpoint& endpoint) {
    ticker_.add(find(endpoint.id));
    engine_->wake();  // it may wait without a limit already
  }
  // What arrives from now on passes this filter. 0 or -errno; then everything is as before.
  int set_filter(Endpoint& endpoint, EndpointFilter::Wanted wanted);
  // Takes connect_socket() back. 0 or -errno.
  int disconnect(Endpoint& endpoint);
  // Ends receiving; what was received is published when this returns.
  void unwatch(Endpoint& endpoint);
  // Takes that back. 0 or -errno, as watch().
  int watch_again(Endpoint& endpoint);
  // Forgets the endpoint and closes its descriptor before it returns.
  void close(uint32_t id);
  // Null when there is none (any more) with this id. From any thread.
  std::shared_ptr<Endpoint> find(uint32_t id) { return table_.find(id); }

  // Sends now what the kernel takes now; what it does not take waits for the I/O thread. Sets each
  // descriptor's result; returns how many have to wait.
  uint32_t send(Endpoint& endpoint, const uint8_t* base, std::span<Descriptor> descriptors,
                std::span<const Source> sources = {});

  // The same of one datagram that the caller wants back rather than have it wait: bytes, or -errno, EAGAIN
  // and ENOBUFS, too. `to` is null on a connected socket.
  int send_now(Endpoint& endpoint, std::span<const uint8_t> payload, const Address* to);

  // Asks for a `drained` record once the backlog is empty. False when it is: there will be none.
  bool notify_drained(Endpoint& endpoint);
  // Asks for one once the socket is writable: connected, where its peer has room.
  void notify_writable(Endpoint& endpoint);
  // The loop, which watches it for itself, says that it is. True: it has to read the ring now.
  bool tell_drained(Endpoint& endpoint);

  // The ring has room again.
  void resume();

  Engine& engine() { return *engine_; }

 private:
  static constexpr size_t kEventsMax = 64;
  // The longest that a socket is left alone which is said to be ready and is not.
  static constexpr uint64_t kPatienceMaxNs = 128'000'000;

  static void* entry(void* self);
  void run();
  // How long to sleep before the next round.
  uint64_t after_round(bool caught_up) {
    RxRound round = turn_.round();
    uint64_t pause_ns = sharing_.after_round(caught_up);
    uint64_t forwarding_ns = pace_.after(round, round.forwarded > 0 ? clock_ns(CLOCK_MONOTONIC) : 0);
    if (forwarding_ns > 0) counters_.add(Counter::moderations, 1);
    return pause_ns + forwarding_ns;
  }
  std::span<Event> wait(std::span<Event> events);
  std::span<Event> look(std::span<Event> events, int timeout_ms);
  // Somebody has woken the thread for something that no event says.
  bool has_to_go_on() const {
    return stopping_.load(std::memory_order_relaxed) || resume_asked_.load(std::memory_order_relaxed);
  }
  bool only_shared(std::span<const Event> events);
  void serve(const Event& event);
  void receive(const std::shared_ptr<Endpoint>& endpoint);
  void pause(const std::shared_ptr<Endpoint>& endpoint);
  void unpause_all();
  void work_off(const std::shared_ptr<Endpoint>& endpoint);
  void go_on_to_path(const std::shared_ptr<Endpoint>& endpoint, uint32_t key);
  void go_on_to_paths(const std::shared_ptr<Endpoint>& endpoint);
  void work_off_paths(const std::shared_ptr<Endpoint>& endpoint, bool all);
  void wait_for_paths(const std::shared_ptr<Endpoint>& endpoint);
  static size_t clear_backlogs(Endpoint& endpoint);
  void rewatch(const std::shared_ptr<Endpoint>& endpoint, uint32_t add, uint32_t remove);
  void rewatch_postponed();
  void report(Endpoint& endpoint, int error);
  void put_completions();
  void publish();

  const Options options_;
  const std::unique_ptr<Engine> engine_;
  const std::function<void()> wake_;
  const Counters counters_;

  pthread_t thread_{};
  bool running_ = false;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> resume_asked_{false};

  EndpointTable table_;
  Watches watches_;
  Ticker ticker_;
  Postponed postponed_;
  TxFlush inline_flush_;   // the JavaScript thread's, and the next one, too
  bool has_sent_ = false;  // since look_again()

  // Guarded by the lock of LoopSharing from here on.
  RxRing ring_;
  PeerTable peers_;
  TxFlush flush_;
  RxTurn turn_;
  std::vector<std::weak_ptr<Endpoint>> paused_;
  std::vector<Descriptor> completions_;  // records that the ring had no room for yet

  LoopSharing sharing_;   // owns that lock
  ForwardPace pace_;      // the I/O thread's
  StepAside step_aside_;  // guarded by LoopSharing's lock
};

}  // namespace ksocket
