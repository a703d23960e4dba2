/* The receive ring and who wakes whom, for Spin (https://spinroot.com): every interleaving of the I/O thread, the
 * JavaScript thread and its event loop, one access to shared memory at a time.
 *
 * What is modelled, and by which inline here: functions.json, next to this file. When one of those functions changes,
 * `npm run test:model` fails until this model has been looked at again.
 *
 * Two sockets: A leaves to the kernel what the ring has no room for (onFull: 'block'), B drops it. Besides, results of
 * sends (records without a payload) that must not be lost. Who owns the sockets changes after any round, as any
 * arbiter might decide; a drain ends after any record, as its time is up or its listener throws; sockets are closed
 * and the thread is stopped at any moment. All datagrams lie in the kernel from the beginning: one that comes later is
 * one that is served later.
 *
 * Holds: no record is lost, read twice, or changed while it is the consumer's; order per socket; when nothing can
 * happen any more, nothing waits.
 *
 * Parameters, with -D: BOTH_BLOCK (B does as A), SLOTS, ARENA (units), A, B (datagrams), RESULTS, LENGTH (the longest datagram), CLOSES, STOPS,
 * SHIFT (of the part of the ring that has to be free before the thread is woken), and one of the mistakes that
 * scripts/check-model.mjs lists: with it something above must not hold. */

#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef ARENA
#define ARENA 3
#endif
#ifndef LENGTH
#define LENGTH 2
#endif
#ifndef SHIFT
#define SHIFT 1
#endif
#define RECORDS (A + B + RESULTS)
#define NOBODY 255

/* ---- shared memory: RingControl and what it describes */
byte head, tail, base;
bit wake_pending, producer_waiting;
byte slot_record[SLOTS] = NOBODY;
byte slot_socket[SLOTS];
byte slot_offset[SLOTS];
byte slot_length[SLOTS];
byte slot_number[SLOTS]; /* of the datagram among those of its socket */
byte cell[ARENA] = NOBODY;

/* ---- calls under way */
bit wake_called;  /* the thread-safe function: several calls are one */
bit resume_asked; /* and the eventfd that goes with it */

/* ---- the producer's half, guarded by the lock of LoopSharing */
bit lock;
byte p_head, p_published, p_tail, p_base, p_write, p_oldest;
bit p_fresh;
byte pending[2]; /* in the kernel */
byte served[2];  /* received so far */
bit paused[2];
byte results; /* that have no record yet */
bit loop_owns = 1;

/* ---- what became of them */
byte dropped;     /* of B, counted in rxRingDrops */
byte discarded;   /* by close and stop */
byte delivered[2];
byte told;        /* results */
byte last[2];     /* the number behind the latest that was read, by socket */
bit closed[2];
bit stopping, thread_ended;

/* ---- the consumer's own */
byte c_tail, c_head, c_base, c_resume_at;
bit c_has_resume_at, comes_back, c_ended, js_ended;

#define SLOT(n, b) (((n) - (b)) % SLOTS)
#define EMPTY (p_head == p_tail)
#ifdef BOTH_BLOCK
#define BLOCKS(socket) 1
#else
#define BLOCKS(socket) (socket == 0)
#endif

/* RxRing::look_at_tail, start_over */
inline look_at_tail() {
  p_tail = tail;
  p_fresh = 1;
  if
#ifdef STARTS_OVER_TOO_EARLY
  :: p_published == p_tail -> p_base = p_head; p_write = 0; p_oldest = 0
#else
  :: EMPTY -> p_base = p_head; p_write = 0; p_oldest = 0
#endif
  :: else -> p_oldest = slot_offset[SLOT(p_tail, p_base)]
  fi
}

/* RxRing::room_cached, of one record of `bytes` */
inline room_cached(bytes, found) {
  if
  :: p_head - p_tail >= SLOTS -> found = 0
  :: else ->
    if
    :: EMPTY -> found = (ARENA >= bytes)
    :: !EMPTY && p_write >= p_oldest ->
      found = (ARENA - p_write >= bytes || (p_oldest > 0 && p_oldest - 1 >= bytes))
#ifdef CATCHES_UP
    :: !EMPTY && p_write < p_oldest -> found = (p_oldest - p_write >= bytes)
#else
    :: !EMPTY && p_write < p_oldest -> found = (p_oldest - p_write - 1 >= bytes)
#endif
    fi
  fi
}

/* RxRing::room */
inline room(bytes, found) {
  atomic {
    if
    :: !p_fresh -> look_at_tail()
    :: else
    fi;
    room_cached(bytes, found)
  };
  if
  :: !found -> atomic { look_at_tail(); room_cached(bytes, found) }
  :: else
  fi
}

/* RxRing::push, place, push_at; the caller has asked for room. In one step: the consumer looks twice at what it reads,
 * when it gets it and when it gives it back. */
inline push(socket, number, bytes) {
  atomic {
    if
    :: EMPTY && bytes <= ARENA - p_write -> at = p_write
    :: EMPTY && bytes > ARENA - p_write -> at = 0
    :: !EMPTY && p_write >= p_oldest && ARENA - p_write >= bytes -> at = p_write
    :: !EMPTY && p_write >= p_oldest && ARENA - p_write < bytes -> at = 0
    :: !EMPTY && p_write < p_oldest -> at = p_write
    fi;
    at_slot = SLOT(p_head, p_base);
    slot_record[at_slot] = p_head;
    slot_socket[at_slot] = socket;
    slot_number[at_slot] = number;
    slot_offset[at_slot] = at;
    slot_length[at_slot] = bytes;
    byte_at = 0;
    do
    :: byte_at < bytes -> cell[at + byte_at] = p_head; byte_at++
    :: else -> break
    od;
    p_write = at + bytes;
    if
    :: EMPTY -> p_oldest = at
    :: else
    fi;
    p_head++;
    at = 0;
    at_slot = 0;
    byte_at = 0
  }
}

/* RxRing::publish, IoThread::publish */
inline publish(wakes) {
  if
  :: p_head != p_published ->
    atomic { p_published = p_head; p_fresh = 0 };
#ifdef FLAG_BEFORE_HEAD
    atomic { was_pending = wake_pending; wake_pending = 1 };
    base = p_base;
    head = p_head;
#else
#ifdef BASE_AFTER_HEAD
    head = p_head;
    base = p_base;
#else
    base = p_base;
    head = p_head;
#endif
    atomic { was_pending = wake_pending; wake_pending = 1 };
#endif
    atomic {
      if
      :: !was_pending && wakes -> wake_called = 1
      :: else
      fi;
      was_pending = 0
    }
  :: else
  fi
}

/* IoThread::unpause_all */
inline unpause_all() {
  if
  :: paused[0] || paused[1] -> producer_waiting = 0; atomic { paused[0] = 0; paused[1] = 0 }
  :: else
  fi
}

/* IoThread::pause, RxRing::wait_for_room */
inline pause(socket) {
  publish(1);
  producer_waiting = 1;
#ifdef NO_SECOND_LOOK
  found = 0;
#else
  room(LENGTH, found);
#endif
  if
  :: found ->
    producer_waiting = 0;
#ifndef OTHERS_LEFT_WAITING
    unpause_all()
#endif
  :: else -> paused[socket] = 1
  fi
}

/* RxTurn::receive, one datagram. `by_thread`: else by the loop, whose reader is about to empty the ring. */
inline receive(socket, by_thread) {
  no_room = 0;
  if
  :: BLOCKS(socket) -> room(LENGTH, found); no_room = !found
  :: else
  fi;
  if
  :: no_room && by_thread -> pause(socket)
  :: no_room && !by_thread
  :: !no_room ->
    atomic {
      if
      :: bytes = 1
      :: LENGTH > 1 -> bytes = LENGTH
      fi;
      pending[socket]--;
      number = served[socket];
      served[socket]++
    };
    room(bytes, found);
    if
    :: found -> push(socket, number, bytes)
    :: else -> assert(!BLOCKS(socket)); dropped++
    fi;
    atomic { bytes = 0; number = 0; found = 0 }
  fi
}

/* IoThread::put_completions */
inline put_completions() {
  do
  :: results > 0 ->
    room(1, found);
    if
    :: found -> push(2, 0, 0); results--
    :: else ->
      publish(1);
      producer_waiting = 1;
      room(1, found);
      if
      :: found ->
        producer_waiting = 0;
#ifndef RESULTS_LEFT_WAITING
        resume_asked = 1
#endif
      :: else
      fi;
      break
    fi
  :: else -> break
  od
}

#define SERVES(s) (pending[s] > 0 && !closed[s])

/* IoThread::run. With the loop as the owner it only stands in. */
proctype Thread() {
  byte at, at_slot, byte_at, bytes, number, socket;
  bit found, no_room, was_pending;
  do
  :: atomic { !lock && stopping -> thread_ended = 1; break }
  :: atomic { !lock && !stopping &&
              ((SERVES(0) && !paused[0]) || (SERVES(1) && !paused[1]) || resume_asked || results > 0) -> lock = 1 };
    do
    :: SERVES(0) && !paused[0] -> receive(0, 1)
    :: SERVES(1) && !paused[1] -> receive(1, 1)
    :: break
    od;
    if
    :: atomic { resume_asked -> resume_asked = 0 }; unpause_all()
    :: else
    fi;
    put_completions();
    publish(1);
    atomic {
      if
      :: loop_owns = 1
      :: loop_owns = 0
      fi;
      no_room = 0;
      found = 0;
      lock = 0
    };
    /* Results wait for the consumer's call, not for the next round. */
    if
    :: results > 0 && !stopping -> (resume_asked || stopping || (SERVES(0) && !paused[0]) || (SERVES(1) && !paused[1]))
    :: else
    fi
  od
}

/* ReturnedRecords.upTo */
inline up_to() {
  if
  :: tail != c_tail ->
#ifdef WAITING_BEFORE_TAIL
    waits = producer_waiting;
    tail = c_tail;
#else
    tail = c_tail;
    waits = producer_waiting;
#endif
    if
    :: !waits -> c_has_resume_at = 0
    :: else ->
      atomic {
        left = head - c_tail;
        if
        :: !c_has_resume_at -> c_resume_at = c_tail + (left >> SHIFT); c_has_resume_at = 1
        :: else
        fi
      };
      if
      :: left > 0 && c_resume_at > c_tail
      :: else ->
        atomic { c_has_resume_at = 0; c_resume_at = 0; waits = producer_waiting; producer_waiting = 0 };
        if
        :: waits -> resume_asked = 1
        :: else
        fi
      fi
    fi;
    atomic { left = 0; waits = 0 }
  :: else
  fi
}

inline check(n) {
  assert(slot_record[SLOT(n, c_base)] == n);
  i = 0;
  do
  :: i < slot_length[SLOT(n, c_base)] -> assert(cell[slot_offset[SLOT(n, c_base)] + i] == n); i++
  :: else -> break
  od;
  i = 0
}

/* Receiver #consume: each record is looked at when it is handed out, and again before it is given back. */
inline consume() {
  c_ended = 1;
  first = c_tail;
  do
  :: c_tail != c_head ->
    atomic {
      check(c_tail);
      s = slot_socket[SLOT(c_tail, c_base)];
      if
      :: s == 2 -> told++
      :: s < 2 ->
        assert(slot_number[SLOT(c_tail, c_base)] >= last[s]);
        last[s] = slot_number[SLOT(c_tail, c_base)] + 1;
        if
        :: closed[s] -> discarded++
        :: else -> delivered[s]++
        fi
      fi;
      c_tail++
    };
    if
    :: c_tail != c_head -> c_ended = 0; break /* its time is up, or its listener has thrown */
    :: true
    fi
  :: else -> break
  od;
#ifdef GIVES_BACK_TOO_EARLY
  tail = c_tail;
#endif
  atomic {
    do
    :: first != c_tail -> check(first); first++
    :: else -> break
    od;
    first = 0;
    s = 0
  }
}

/* Receiver.run */
inline drain() {
  do
  :: wake_pending = 1;
    c_head = head;
    c_base = base;
    consume();
    up_to();
    if
    :: !c_ended -> break
    :: else
    fi;
#ifdef HEAD_BEFORE_CLEAR
    c_head = head;
    wake_pending = 0;
    if
    :: c_head == c_tail -> break
    :: else
    fi
#else
#ifndef NEVER_CLEARED
    wake_pending = 0;
#endif
    if
    :: head == c_tail -> break
    :: else
    fi
#endif
  od;
#ifndef DOES_NOT_COME_BACK
  comes_back = !c_ended
#endif
}

/* The JavaScript thread: wake-ups, immediates, rounds of the event loop (LoopSharing::receive_on_loop), close, stop. */
proctype JavaScript() {
  byte at, at_slot, byte_at, bytes, number, i, s, first, left;
  bit found, no_room, was_pending, waits;
  do
  :: wake_called -> wake_called = 0; drain()
  :: comes_back -> comes_back = 0; drain()
  :: atomic { loop_owns && !lock && !stopping && (SERVES(0) || SERVES(1)) -> lock = 1 };
    if
    :: SERVES(0) -> receive(0, 0)
    :: SERVES(1) -> receive(1, 0)
    fi;
    found = (p_head != p_published) || no_room;
    publish(0);
    atomic {
      if
      :: loop_owns = 0
      :: true
      fi;
      no_room = 0;
      lock = 0
    };
    if
    :: found -> found = 0; drain()
    :: else
    fi
#ifdef CLOSES
  /* IoThread::close: what the kernel has is discarded, and counted. */
  :: atomic { !closed[0] && !lock && !stopping -> closed[0] = 1; discarded = discarded + pending[0]; pending[0] = 0;
              paused[0] = 0 }
#endif
#ifdef STOPS
  :: atomic { !stopping -> stopping = 1 }; thread_ended; js_ended = 1; break
#endif
  od
}

#define WAITS (pending[0] + pending[1] + results + (p_head - c_tail))

init {
  atomic { pending[0] = A; pending[1] = B; results = RESULTS; run Thread(); run JavaScript() };
  /* Nothing can happen any more. */
  timeout ->
  assert(!lock);
#ifdef STOPS
  assert(js_ended -> thread_ended : WAITS == 0);
#else
  assert(WAITS == 0);
  assert(told == RESULTS);
#endif
  assert(delivered[0] + delivered[1] + told + dropped + discarded + WAITS == RECORDS)
}
