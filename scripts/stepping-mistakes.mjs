// Mistakes that a maintainer could make, each of which the stepping tests have to find: file, what stands there once,
// what would stand there instead. One may take several changes.

const receiver = 'lib/thread/receiver.ts';
const returned = 'lib/thread/returned-records.ts';
const records = 'lib/thread/records.ts';
const batch = 'lib/thread/batch.ts';
const batches = 'lib/thread/batches.ts';
const lanes = 'lib/thread/lanes.ts';
const payloads = 'lib/thread/payloads.ts';
const chunks = 'native/core/memory/chunks.h';
const endpoint = 'lib/thread/endpoint.ts';
const sender = 'lib/thread/sender.ts';
const lists = 'lib/thread/lists.ts';
const staging = 'lib/thread/staging.ts';
const turns = 'lib/thread/turns.ts';
const reader = 'native/bridge/ring_reader.cc';
const ring = 'native/core/memory/rx_ring.h';
const turn = 'native/core/endpoint/rx_turn.cc';
const thread = 'native/core/thread/io_thread.cc';
const sending = 'native/core/thread/io_thread_sending.cc';
const sharing = 'native/core/sharing/loop_sharing.cc';
const backlog = 'native/core/endpoint/backlog.cc';
const flush = 'native/core/datapath/tx_flush.cc';

const secondLook = `        // Cleared before the head is looked at again: what is published from here on wakes us.
        Atomics.store(control, C_WAKE_PENDING >> 2, 0);
      } while (Atomics.load(control, C_HEAD >> 2) !== this.#tail);`;

/** Of these the program may die, or not end; of all others that is no finding. */
export const deadly = new Set([
  'a payload overwrites the oldest',
  'places behind the end of the arena',
  'more messages than places',
  'what the event loop has received is not published',
]);

export const mistakes = {
  // ---- who wakes whom
  'the head is looked at before the flag is cleared': [
    [
      receiver,
      secondLook,
      `        const head = Atomics.load(control, C_HEAD >> 2);
        Atomics.store(control, C_WAKE_PENDING >> 2, 0);
        if (head === this.#tail) break;
      } while (true);`,
    ],
  ],
  'the flag is cleared late, behind the drain': [
    [
      receiver,
      secondLook,
      `        if (Atomics.load(control, C_HEAD >> 2) === this.#tail) {
          this.#tools.answers.flush();
          Atomics.store(control, C_WAKE_PENDING >> 2, 0);
          break;
        }
      } while (true);`,
    ],
  ],
  'no second look at the head': [
    [receiver, '} while (Atomics.load(control, C_HEAD >> 2) !== this.#tail);', '} while (false);'],
  ],
  'the flag is never cleared': [[receiver, '        Atomics.store(control, C_WAKE_PENDING >> 2, 0);\n', '']],
  'a drain whose second round is thrown out of does not go on': [
    [receiver, '        ended = false; // also when a listener throws in a later round\n', ''],
  ],
  'a drain that has had its time does not come back': [
    [
      receiver,
      'if (!this.#paused && (budget.spent || !ended)) goOnLater(this);',
      'if (!ended && !budget.spent) goOnLater(this);',
    ],
  ],
  'one that waits is forgotten when another throws': [[turns, '    if (waiting.size > 0) arm();\n', '']],
  'the flag is exchanged before the head is stored': [
    [
      ring,
      `    cell(memory_.control->head).store(head_, std::memory_order_seq_cst);
    return cell(memory_.control->wake_pending).exchange(1, std::memory_order_seq_cst) == 0;`,
      `    bool wake = cell(memory_.control->wake_pending).exchange(1, std::memory_order_seq_cst) == 0;
    cell(memory_.control->head).store(head_, std::memory_order_seq_cst);
    return wake;`,
    ],
  ],
  'a thread that waits for room is looked for before the tail is moved': [
    [
      returned,
      `    Atomics.store(control, C_TAIL >> 2, tail);
    if (Atomics.load(control, C_PRODUCER_WAITING >> 2) === 0) {`,
      `    const waits = Atomics.load(control, C_PRODUCER_WAITING >> 2);
    Atomics.store(control, C_TAIL >> 2, tail);
    if (waits === 0) {`,
    ],
  ],
  'a thread that waits for room is not told': [
    [returned, 'if (Atomics.exchange(control, C_PRODUCER_WAITING >> 2, 0) === 1) this.#resume();', ''],
  ],
  'no second look for room': [
    [ring, 'if (!has_room()) return true;\n    stop_waiting();\n    return false;', 'return true;'],
  ],
  'a socket that crowds the ring waits for a tail of long ago': [
    [
      ring,
      `    if (!leaves_too_little()) return false;
    look_at_tail();`,
      '    if (!leaves_too_little()) return false;',
    ],
  ],
  'one finds room, and the others that waited are left': [[thread, '    unpause_all();\n    return;', '    return;']],
  'results wait for room, and nobody asks for it': [
    [thread, '  if (!ring_.wait_for_room([&] { return ring_.room(1, 1) > 0; })) resume();', ''],
  ],
  'what the event loop has received is not published': [
    [sharing, '  tools_.ring.publish();\n  return true;', '  return true;'],
  ],
  'what the event loop has received is not read': [
    [sharing, '  tools_.ring.publish();\n  return true;', '  tools_.ring.publish();\n  return false;'],
  ],

  // ---- a datagram that comes alone
  'a lone datagram comes for ever': [
    [
      receiver,
      '    this.#tail = (this.#tail + 1) | 0;\n    this.#draining = true;\n    try {\n      const rinfo',
      '    this.#draining = true;\n    try {\n      const rinfo',
    ],
  ],
  'a lone batch comes for ever': [
    [
      receiver,
      '    this.#tail = (this.#tail + 1) | 0;\n    this.#draining = true;\n    try {\n      endpoint.onBatch',
      '    this.#draining = true;\n    try {\n      endpoint.onBatch',
    ],
  ],
  'a lone batch reaches the next socket in that place': [
    [receiver, 'endpoint?.id !== id || !wantsBatches(endpoint)', 'endpoint === undefined || !wantsBatches(endpoint)'],
  ],
  'a lone batch comes within another one': [
    [receiver, 'if (this.#draining || this.waits || endpoint?.id !== id', 'if (this.waits || endpoint?.id !== id'],
  ],
  'a lone batch is looked for where the ring began': [
    [
      receiver,
      'batch.add(this.records.at(this.#tail, this.#control[C_BASE >> 2]), 0);',
      'batch.add(this.records.at(this.#tail, 0), 0);',
    ],
  ],
  'joined datagrams that come alone stay joined': [[reader, ' || record.segment_size != 0', '']],
  'a lone datagram reaches the next socket in that place': [[endpoint, 'return endpoint.id === id && ', 'return ']],
  'what came during the listener of a lone one waits for the next': [
    [receiver, '    if (Atomics.load(this.#control, C_HEAD >> 2) !== this.#tail) goOnLater(this);\n', ''],
  ],
  'behind a lone datagram the flag is not cleared': [
    [receiver, 'looks\n    Atomics.store(this.#control, C_WAKE_PENDING >> 2, 0);\n', 'looks\n'],
  ],
  'what the listener of a lone datagram sends stays': [
    [receiver, '    this.#tools.answers.flush();\n    if (this.#paused)', '    if (this.#paused)'],
  ],

  // ---- where records are
  'the base is stored after the head': [
    [
      ring,
      `    cell(memory_.control->base).store(base_, std::memory_order_relaxed);
`,
      '',
    ],
    [
      ring,
      `    cell(memory_.control->head).store(head_, std::memory_order_seq_cst);
`,
      `    cell(memory_.control->head).store(head_, std::memory_order_seq_cst);
    cell(memory_.control->base).store(base_, std::memory_order_relaxed);
`,
    ],
  ],
  'the base is read before the head': [
    [
      receiver,
      'ended = this.#consume(Atomics.load(control, C_HEAD >> 2), control[C_BASE >> 2], again);',
      'const base = control[C_BASE >> 2]; ended = this.#consume(Atomics.load(control, C_HEAD >> 2), base, again);',
    ],
  ],
  'the ring starts over while there are unpublished records': [
    [ring, 'if (head_ == tail_) {\n      start_over();', 'if (published_ == tail_) {\n      start_over();'],
  ],
  'a payload catches up with the oldest': [
    [ring, '(oldest_ > 0 ? (oldest_ - 1) / bytes_each : 0)', 'oldest_ / bytes_each'],
    [ring, 'return *at = 0, oldest_ > length;', 'return *at = 0, oldest_ >= length;'],
  ],
  'a payload overwrites the oldest': [
    [ring, 'fits = (oldest_ - write_ - 1) / bytes_each;', 'fits = wanted;'],
    [ring, 'return *at = write_, oldest_ - write_ > length;', 'return *at = write_, true;'],
  ],
  'one record too many': [
    [ring, 'if (head_ - tail_ >= memory_.slots) return nullptr;', ''],
    [
      ring,
      'uint32_t free_slots = memory_.slots - (head_ - tail_);',
      'uint32_t free_slots = memory_.slots + 1 - (head_ - tail_);',
    ],
  ],
  'places behind the end of the arena': [
    [ring, 'Places found{write_, (end - write_) / stride};', 'Places found{write_, (end - write_) / stride + 1};'],
  ],
  'places, and no records for them': [
    [ring, 'std::min({found.count, wanted, memory_.slots - (head_ - tail_)})', 'std::min({found.count, wanted})'],
    [ring, 'uint32_t n = fits < free_slots ? fits : free_slots;', 'uint32_t n = fits;'],
  ],
  'more messages than places': [[turn, 'batch_->slots(places.count, ', 'batch_->slots(most, ']],
  'messages that the ring may not be able to take': [
    [turn, 'if (endpoint.keep_bytes_max >= kDatagramBytesMax) return messages;', 'return std::max(messages, 2u);'],
  ],
  'a socket is found to crowd the ring, and then looks again': [
    [
      turn,
      'wanted = yields_ ? 0 : std::min(most, room_for_messages(endpoint));',
      'wanted = std::min(most, room_for(endpoint));',
    ],
  ],
  'records do not know the base': [
    [records, 'return ((n - base) & this.#mask) * RECORD_WORDS;', 'return (n & this.#mask) * RECORD_WORDS;'],
  ],
  'a batch is given back before its listener has run': [
    [
      receiver,
      `      this.#next(this.#batches.fill(batch, endpoint.id, n, this.#segmentAt, head, base));
`,
      `      this.#next(this.#batches.fill(batch, endpoint.id, n, this.#segmentAt, head, base));
      this.#returned.upTo(this.#tail);
`,
    ],
  ],
  'a record is given back before its last datagram': [
    [
      receiver,
      '      if (position < length) this.#segmentAt = position;\n      else this.#next(1);',
      '      if (position < length) this.#segmentAt = position;\n      if (position >= length || each * 2 < length) this.#next(1);',
    ],
  ],

  // ---- what a listener gets
  'a batch begins again with what was handed out': [[batch, 'let position = from;', 'let position = 0;']],
  'a batch is not cut where it is full': [[batch, 'return false;\n    let position', 'return true;\n    let position']],
  'a batch goes on behind a record of another kind': [
    [
      batches,
      'if (records.socketId(at) !== id || records.kind(at) !== KIND_DATAGRAM || !batch.add(at, segmentAt)) break;',
      'if (records.socketId(at) !== id || !batch.add(at, segmentAt)) break;',
    ],
  ],
  'a batch has records of other sockets': [
    [
      batches,
      'records.socketId(at) !== id || records.kind(at) !== KIND_DATAGRAM || !batch',
      'records.kind(at) !== KIND_DATAGRAM || !batch',
    ],
  ],
  'a view of a batch is found by its place alone': [
    [batch, 'known.byteOffset === offset && known.length === size', 'known.byteOffset === offset'],
  ],
  'payloads that do not lie back to back are copied as if': [
    [
      payloads,
      'if (records.kind(at) !== KIND_DATAGRAM || records.offset(at) !== until || records.inChunk(at)) break;',
      'if (records.kind(at) !== KIND_DATAGRAM || records.inChunk(at)) break;',
    ],
  ],
  'a chunk is used beyond its end': [
    [payloads, 'this.#used + total > this.#bytes.length', 'this.#used > this.#bytes.length'],
  ],
  'copied payloads are thought to reach one record further': [
    [payloads, '((this.#until - n) | 0) > 0', '((this.#until - n) | 0) >= 0'],
  ],
  'a super-datagram goes on after its socket has closed': [
    [receiver, 'if (this.#endpointOf(records.socketId(at)) !== endpoint) return true;', ''],
  ],
  'who wants batches in the middle of a super-datagram gets messages': [
    [receiver, 'endpoint.sameListeners !== true', 'endpoint.sameListeners === true'],
  ],
  'what a closed socket has left is not counted': [
    ['lib/thread/io-thread.ts', "    this.#counters.add(slot, 'rxCloseDrops', this.#receiver.waiting(id));\n", ''],
  ],
  'what was handed out of a record counts as dropped': [
    [
      receiver,
      'const passed = count > 0 ? 0 : (this.#lanes?.begun(id) ?? (n === this.#tail ? this.#segmentAt : 0));',
      'const passed = 0;',
    ],
  ],
  'a slot keeps its number when its socket closes': [
    ['lib/thread/io-thread.ts', '    this.#generations[slot] = (this.#generations[slot] + 1) % GENERATIONS;\n', ''],
  ],

  // ---- memory that a listener may keep, which the event loop receives into
  'what was taken over is remembered though others come in between': [
    [receiver, '      this.#payloads.intoArena(lane.records[lane.first], base); // others come in between\n', ''],
    [
      receiver,
      'this.records.socketId(this.#payloads.intoArena(this.#tail, base))',
      'this.records.socketId(this.records.at(this.#tail, base))',
    ],
  ],
  'what was taken over is remembered while its socket waits for its turn': [
    [receiver, '      this.#payloads.intoArena(lane.records[lane.first], base); // others come in between\n', ''],
  ],
  'what was taken over is remembered when sockets begin to have turns': [
    [
      receiver,
      'this.records.socketId(this.#payloads.intoArena(this.#tail, base))',
      'this.records.socketId(this.records.at(this.#tail, base))',
    ],
  ],
  'what was taken over is looked for where the kernel is to write': [
    [payloads, 'const chunk = this.#isTaken(n) ? this.#chunk : ', 'const chunk = '],
  ],
  'what was taken over, and detached, is taken over once more': [
    [payloads, '    if (this.#isTaken(n)) return false;\n', ''],
  ],
  'what was taken over, and detached, is handed out': [[payloads, ' && this.#bytes.length > 0;', ';']],
  'what was taken over, and detached, is copied': [
    [payloads, 'if (chunk === undefined || chunk.byteLength === 0) this', 'if (chunk === undefined) this'],
  ],
  'what was taken over, and detached, is what others had there': [
    [
      payloads,
      'if (chunk === undefined || chunk.byteLength === 0) this.#arena.fill(0, offset, offset + length);\n    else',
      'if (chunk !== undefined && chunk.byteLength > 0)',
    ],
  ],
  "what was taken over stays the kernel's": [
    [payloads, '    this.#giveChunk?.(this.#given, place, this.#taker);\n', ''],
  ],
  'what was taken over is given once more': [
    [payloads, 'this.#given[place] = newChunk(CHUNK_BYTES);', 'this.#given[place] = this.#chunk as ArrayBuffer;'],
  ],
  'what was taken over is replaced in another place': [
    [
      payloads,
      'this.#giveChunk?.(this.#given, place, this.#taker);',
      'this.#giveChunk?.(this.#given, 0, this.#taker);',
    ],
  ],
  'what was taken over has room for more': [
    [payloads, '    this.#used = CHUNK_BYTES; // nothing else has room there\n', ''],
  ],
  'what was taken over lies where it would in the arena': [
    [payloads, 'this.#shift = -this.#records.offset(at);', 'this.#shift = 0;'],
  ],
  'what was taken over reaches one record further': [
    [payloads, '    this.#until = (n + 1) | 0;\n    return true;', '    this.#until = (n + 2) | 0;\n    return true;'],
  ],
  'what is not in the arena is copied from there, behind others': [
    [payloads, ' || records.inChunk(at)) break;', ') break;'],
  ],
  'what is not in the arena is read there by a batch': [
    [
      batches,
      'const at = this.#payloads.intoArena(n, base);\n      if (records.socketId(at) !== id',
      'const at = records.at(n, base);\n      if (records.socketId(at) !== id',
    ],
  ],
  'what is not in the arena is read there by a batch of a socket in turn': [
    [
      batches,
      'const at = this.#payloads.intoArena(lane.records[first], base);',
      'const at = records.at(lane.records[first], base);',
    ],
  ],
  'what is in the arena by now is said not to be': [[payloads, '    records.leaveChunk(at);\n', '']],
  'memory that has a record is received into': [[chunks, '      if (!chunk.held) {', '      if (true) {']],
  'memory that has a record is free whatever was read': [
    [chunks, '} else if (static_cast<int32_t>(consumed - chunk.record) > 0) {', '} else {'],
  ],
  'memory that has a record is free': [[chunks, '    chunks_[place].held = true;\n', '']],
  'memory that has a record is told for all of its turn': [
    [
      turn,
      'deliver_chunk(endpoint, datagram, target.chunks[&datagram - received.data()]);',
      'deliver_chunk(endpoint, datagram, target.chunks[0]);',
    ],
  ],
  'memory that has a record is told wrong': [
    [turn, 'kInChunk | chunk.place << kChunkShift', 'kInChunk | (chunk.place ^ 1) << kChunkShift'],
  ],
  "memory that has a record is nobody's when that is small": [
    [turn, '    std::memcpy(ring_.payload(*record), chunk.memory, datagram.length);\n    return;', '    return;'],
  ],

  // ---- sockets in turn
  'a lane begins its record again': [[lanes, '    if (lane !== undefined) lane.segmentAt = segmentAt;\n', '']],
  'a lane does not forget where it was in a record': [[lanes, '    lane.segmentAt = 0;\n', '']],
  'records are given back before those of others': [
    [
      receiver,
      'while (this.#tail !== lanes.until && records.socketId(records.at(this.#tail, base)) === 0) {',
      'while (this.#tail !== lanes.until) {',
    ],
  ],
  'the crowd is never over': [[receiver, '      Atomics.store(this.#control, C_CROWDING >> 2, 0);\n', '']],
  'a lane is compacted and keeps its place': [[lanes, '      lane.first = 0;\n', '']],

  // ---- sending
  'what is sent overtakes the backlog': [[sending, '  bool first = endpoint.backlog.empty();', '  bool first = true;']],
  'nobody works off the backlog': [
    [sending, '  if (first && waiting > 0) rewatch(find(endpoint.id), kWritable, kNothing);\n', ''],
  ],
  'the backlog is not told when it is empty': [
    [backlog, '  if (!std::exchange(tell_drained_, false)) return Outcome::empty;', '  return Outcome::empty;'],
  ],
  'joined datagrams are sent again, and one that waits is overtaken': [
    [
      flush,
      `    defer(chunk, i);
    return false;
  }
  return true;
}

void`,
      `    chunk[i].result = kResultDeferred;
  }
  return true;
}

void`,
    ],
  ],
  'joined datagrams are sent again behind those that come after': [
    [
      flush,
      `    if (wait) {
      all_settled = false;
    } else {
      all_settled = settle_refused(out, groups_[g++], sent, base, chunk);
    }
  }
`,
      `    if (wait) {
      all_settled = false;
    } else if (groups_[g].segments > 1 && g + 1 < groups) {
      Group later = groups_[g++];
      Action next;
      if (out.send(groups_.messages(g, g + 1), &next) > 0) settle_sent(out, groups_[g++], chunk);
      all_settled = settle_refused(out, later, sent, base, chunk);
    } else {
      all_settled = settle_refused(out, groups_[g++], sent, base, chunk);
    }
  }
`,
    ],
  ],
  'a deferred result is told as one': [[sender, 'if (result === RESULT_DEFERRED) {', 'if (false) {']],
  'a result is told twice': [
    [sender, '    this.#waiting.delete(number);\n    waiting.listener(result);', '    waiting.listener(result);'],
  ],
  'a run goes on though the socket cannot take more': [
    [lists, 'if (full && this.#flush()) return false;', 'if (full) this.#flush();'],
  ],
  'memory is cut further though the socket cannot take more': [[lists, 'taken < all && !deferred;', 'taken < all;']],
  'records keep the listeners of the last flush': [
    [sender, '      this.#listeners[i] = undefined;\n      const result', '      const result'],
  ],
  'who has sent what is taken back is told': [
    [
      sender,
      '      this.#staging.records.drop(i);\n      this.#listeners[i] = undefined;\n',
      '      this.#staging.records.drop(i);\n',
    ],
  ],
  'what stays staged loses its place': [[sender, '    this.#staging.bytes = bytes;\n', '']],
  'more is staged than there is memory for': [
    [staging, 'this.bytes + length > STAGED_BYTES_MAX', 'this.bytes > STAGED_BYTES_MAX'],
  ],
  'what a drain has staged waits for the next': [
    [receiver, '      this.#tools.answers.flush();\n      budget.end();', '      budget.end();'],
  ],
};
