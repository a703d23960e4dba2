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
#include <vector>

#include "core/datapath/peer_table.h"
#include "core/endpoint/endpoint.h"
#include "core/memory/counters.h"
#include "core/memory/rx_ring.h"
#include "core/sharing/fresh_sockets.h"
#include "core/sharing/loop_share.h"
#include "core/sharing/moderation.h"
#include "core/thread/rx_turn.h"
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
  ~IoThread();  // stops

  // 0, or -errno of pthread_create(3).
  int start();
  // Joins the thread and closes every socket. Safe to call twice.
  void stop();
  bool running() const { return running_; }

  // Lets this event loop receive, too, from now on; before start(). It has to call receive_on_loop() when the
  // kernel says so, and stop() ends it.
  void share(const LoopPoll& loop);
  // One batch of the socket that has this place, on the JavaScript thread. True: it has to read the ring now,
  // nobody will wake it.
  bool receive_on_loop(uint32_t place);
  // The loop is about to wait: what it was not watched for so far now is.
  void before_poll();

  // Makes the endpoint known, so that it can send. Its slot is its id's low bits; the slot must be free.
  void add(std::shared_ptr<Endpoint> endpoint);
  // Starts receiving. 0 or -errno.
  int watch(Endpoint& endpoint);
  // Forgets the endpoint and closes its descriptor before it returns.
  void close(uint32_t id);
  // Null when there is none (any more) with this id. From any thread.
  std::shared_ptr<Endpoint> find(uint32_t id);

  // Sends now what the kernel takes now; what it does not take waits for the I/O thread. Sets each
  // descriptor's result; returns how many have to wait.
  uint32_t send(Endpoint& endpoint, const uint8_t* base, std::span<Descriptor> descriptors);

  // Asks for a `drained` record once the backlog is empty. False when it is: there will be none.
  bool notify_drained(Endpoint& endpoint);

  // The ring has room again.
  void resume();

  Engine& engine() { return *engine_; }

 private:
  static constexpr size_t kEventsMax = 64;

  // At most so many sockets take part in sharing. Each place costs a descriptor, for as long as the thread
  // lives, so it is fewer where the process may have few.
  static constexpr size_t kPlacesMax = 64;

  struct LoopPlace {
    int data_fd;
    std::shared_ptr<Endpoint> endpoint;  // null: free
  };

  // Holds work_mutex_ on the JavaScript thread. The I/O thread, which would take the lock again before a
  // sleeper wakes up, steps back for it.
  class LoopLock {
   public:
    explicit LoopLock(IoThread& thread) : thread_(thread) {
      thread_.loop_wants_work_.fetch_add(1);
      thread_.work_mutex_.lock();
      thread_.loop_wants_work_.fetch_sub(1);
    }
    ~LoopLock() { thread_.work_mutex_.unlock(); }

   private:
    IoThread& thread_;
  };

  static void* entry(void* self);
  void run();
  int wait(std::span<Event> events);
  void serve(const Event& event);
  void tick();
  bool leave_to_loop(std::span<const Event> events);
  void doze();
  void receive(const std::shared_ptr<Endpoint>& endpoint);
  void pause(const std::shared_ptr<Endpoint>& endpoint);
  void unpause_all();
  uint32_t next_pause(bool caught_up);
  bool start_sharing(Endpoint& endpoint);
  void stop_sharing(Endpoint& endpoint);
  bool take_place(const std::shared_ptr<Endpoint>& endpoint);
  void give_up_place(Endpoint& endpoint);
  bool keep_fresh(const std::shared_ptr<Endpoint>& endpoint);
  using Refused = std::vector<std::pair<std::shared_ptr<Endpoint>, int>>;
  Refused end_freshness(const FreshSockets::List& fresh);
  void report(const Refused& refused);
  void receive_from_fresh();
  void on_fresh_timer();
  int take_timer(std::span<Event> events);
  void note_loop_round();
  void enter_loop_mode();
  void leave_loop_mode();
  void send_backlog(Endpoint& endpoint);
  uint32_t defer(Endpoint& endpoint, const uint8_t* base, std::span<Descriptor> descriptors);
  bool put_completions();
  void publish();
  // Adds and removes interest bits. From any thread.
  int set_interest(Endpoint& endpoint, uint32_t add, uint32_t remove);
  void set_sole_duty(Endpoint& endpoint, bool is);

  const Options options_;
  const std::unique_ptr<Engine> engine_;
  const std::function<void()> wake_;
  const Counters counters_;

  pthread_t thread_{};
  bool running_ = false;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> resume_asked_{false};

  std::mutex table_mutex_;
  std::vector<std::shared_ptr<Endpoint>> table_;  // guarded by table_mutex_
  std::vector<std::weak_ptr<Endpoint>> ticking_;  // guarded by table_mutex_: their responders want ticks
  std::atomic<bool> ticks_{false};                // is there any?
  uint64_t ticked_us_ = 0;                        // I/O thread only

  TxFlush inline_flush_;  // the JavaScript thread's

  LoopPoll loop_;                        // constant after start()
  std::atomic<bool> loop_stuck_{false};  // we waited for the loop, and it has not received since

  std::atomic<uint32_t> sole_duties_{0};  // endpoints that only the I/O thread looks after

  std::atomic<uint64_t> loop_full_us_{0};  // when a round of the loop last left something in the kernel
  long grace_ns_ = 0;                      // I/O thread only: how long the loop gets before we receive
  uint32_t loop_consumed_ = 0;             // I/O thread only: how far JavaScript had read when we last waited

  // Guarded by work_mutex_ from here on: the I/O thread holds it except while it waits.
  std::mutex work_mutex_;
  std::atomic<uint32_t> loop_wants_work_{0};
  size_t places_max_ = 0;
  std::vector<LoopPlace> places_;
  std::vector<uint32_t> free_places_;
  FreshSockets fresh_;
  std::atomic<bool> loop_mode_{
      false};  // written under the lock: are the shared sockets in the event loop's epoll instance?
  LoopPolicy loop_policy_;
  RxRing ring_;
  PeerTable peers_;
  TxFlush flush_;
  RxLoop rx_;
  Moderation moderation_;
  std::vector<std::weak_ptr<Endpoint>> paused_;
  std::vector<Descriptor> completions_;  // results of deferred sends that the ring had no room for yet
};

}  // namespace ksocket
