// Shares sockets with an event loop: who receives from them now (Arbiter), and what has to be done when that
// changes.
//
//   JavaScript thread   add · remove · receive_on_loop · look_again ·      under LoopLock
//                       before_poll
//   I/O thread          leave_to_loop                                      without the lock, while it waits
//                       take_fresh · after_round · on_full_ring            under ThreadLock
//
// The lock also guards what both receive with: the ring, the peer table, the turn of receiving.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "core/endpoint/endpoint.h"
#include "core/endpoint/rx_turn.h"
#include "core/endpoint/watches.h"
#include "core/memory/chunks.h"
#include "core/memory/counters.h"
#include "core/memory/rx_ring.h"
#include "core/sharing/arbiter.h"
#include "core/sharing/fresh_sockets.h"
#include "core/sharing/loop_entry.h"
#include "core/sharing/moderation.h"
#include "core/sharing/second_look.h"
#include "engine/engine.h"

namespace ksocket {

class LoopSharing {
 public:
  struct Tools {
    Engine& engine;
    Watches& watches;
    RxTurn& turn;
    RxRing& ring;
    Counters counters;  // the thread's
  };
  struct Calls {
    // The engine will not watch this socket. Under the lock.
    std::function<void(Endpoint&, int error)> report;
    // Watch it later, and then for `interest`, too.
    std::function<void(Endpoint&, uint32_t interest)> postpone;
    // Send what waits, if it can be sent: nobody may say that the socket is writable. Under the lock.
    std::function<void(Endpoint&)> work_off;
    // Has the I/O thread something to do that cannot wait?
    std::function<bool()> interrupted;
  };
  // `limits` of the arbiter: they stay where they are.
  LoopSharing(const Tools& tools, Moderation::Options moderation, Calls calls,
              const Limits& limits = kLimits);

  // Lets this event loop receive, too, from now on. Before the I/O thread starts.
  void start(const LoopPoll& loop);
  // The loop loses the sockets. Once the I/O thread has ended.
  void stop();

  // Holds the lock on the JavaScript thread.
  class LoopLock {
   public:
    explicit LoopLock(LoopSharing& sharing) : sharing_(sharing) {
      sharing_.loop_waits_.fetch_add(1);
      sharing_.mutex_.lock();
      sharing_.loop_waits_.fetch_sub(1);
    }
    ~LoopLock() { sharing_.mutex_.unlock(); }

   private:
    LoopSharing& sharing_;
  };
  // Holds it on the I/O thread, which would take it again before a sleeper wakes up, and so steps back for
  // the loop.
  class ThreadLock {
   public:
    explicit ThreadLock(LoopSharing& sharing);
    ~ThreadLock() { sharing_.mutex_.unlock(); }

   private:
    LoopSharing& sharing_;
  };

  // ---- the JavaScript thread

  // True when the loop, or the timer of fresh sockets, makes it unnecessary that the engine watches the
  // socket at once.
  bool add(const std::shared_ptr<Endpoint>& endpoint);
  // The caller holds the lock.
  void remove(Endpoint& endpoint);
  // One turn of the socket that has this place. True: JavaScript has to read the ring now, nobody will wake
  // it.
  bool receive_on_loop(uint32_t place);
  // The same of the sockets that the loop received from lately, though the kernel has said nothing.
  Look look_now();
  // The same before the loop sleeps, as long as it pays, and for a moment if the listeners have `answered`.
  Look look_again(bool answered);
  // The loop is about to wait: what it was not watched for so far now is.
  void before_poll();
  // What this loop receives into where it may.
  Chunks& chunks() { return chunks_; }

  // ---- the I/O thread

  bool loop_owns() const { return loop_owns_.load(std::memory_order_relaxed); }
  // The kernel told the thread of shared sockets only, so the loop was not asleep. Mostly it is just at work
  // and will look for itself in a moment; it gets that moment. True when the thread waited: then ask again
  // what is ready. Without the lock.
  bool leave_to_loop();
  // Deals with the timer of fresh sockets, if it is among these events; how many others there are, in front.
  // Without the lock.
  size_t take_timer(std::span<Event> events);
  // Shared sockets to receive from before all others: they were fresh, so the loop, which is busy, would read
  // what came to them behind what came to others later. The engine watches them from now on.
  Endpoints take_fresh();
  // How long to sleep before the next turn; and who receives then. `caught_up`: JavaScript had read
  // everything when this turn was published.
  uint64_t after_round(bool caught_up);
  void on_full_ring() { arbiter_.on_full_ring(); }

 private:
  struct Place {
    int data_fd;
    std::shared_ptr<Endpoint> endpoint;  // null: free
  };

  void doze();
  bool came() const { return loop_came_.load(std::memory_order_relaxed); }
  bool receive(Endpoint& endpoint, bool told, uint32_t most = RxBatch::kSlots);
  bool comes_alone(const Endpoint& endpoint) const;
  void note_recent(uint32_t place);
  void give_up(Endpoint& endpoint);
  uint32_t note_loop_round();
  void follow_arbiter();
  void hand_to_loop();
  void hand_to_thread();
  bool take_place(const std::shared_ptr<Endpoint>& endpoint);
  void free_place(Endpoint& endpoint);
  using Refused = std::vector<std::pair<std::shared_ptr<Endpoint>, int>>;
  Refused watch_all(const Endpoints& fresh);
  void renew(const std::shared_ptr<Endpoint>& endpoint, Refused* refused);
  void report(const Refused& refused);

  const Tools tools_;
  const Calls calls_;
  LoopPoll loop_;          // constant once the I/O thread runs
  size_t places_max_ = 0;  // the same

  // What the I/O thread looks at without the lock. Written under it, but for loop_came_: that is set by the
  // loop as soon as it comes, and cleared by the thread when it begins to wait for it.
  std::atomic<bool> loop_came_{true};
  std::atomic<bool> loop_owns_{false};
  std::atomic<uint64_t> saturated_until_ns_{0};

  std::atomic<uint32_t> loop_waits_{0};  // for the lock
  std::mutex mutex_;                     // the I/O thread holds it except while it waits
  Arbiter arbiter_;                      // guarded by mutex_, but for the vigil, which is the I/O thread's
  Moderation moderation_;                // guarded by mutex_
  SecondLook second_look_;               // the JavaScript thread's
  Chunks chunks_;                        // the JavaScript thread's
  std::vector<Place> places_;            // guarded by mutex_
  std::vector<uint32_t> free_places_;    // guarded by mutex_
  uint64_t loop_round_ns_ = 0;           // the latest of the loop's; guarded by mutex_
  std::vector<uint32_t> recent_;         // places, the latest first; guarded by mutex_
  FreshSockets fresh_;                   // guarded by mutex_
};

}  // namespace ksocket
