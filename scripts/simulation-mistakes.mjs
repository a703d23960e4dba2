// Mistakes that the simulation has to notice: known fixes, taken back. Each is `from` in `file`, which must be there once,
// replaced by `to`; `kind` is the scenario that meets it. Where the program dies of it, or does not end, `dies` says so:
// elsewhere that is no notice.
export const mistakes = {
  'others stay paused when a socket finds room': {
    file: 'native/core/thread/io_thread.cc',
    from: `    unpause_all();
    return;
  }
  endpoint->paused = true;`,
    to: `    return;
  }
  endpoint->paused = true;`,
    kind: 'receive',
  },
  'the parts of a refused super-datagram leave in another order': {
    file: 'native/core/datapath/tx_flush.cc',
    from: `  bool settled = send_singly(out, base, chunk, first);`,
    to: `  bool settled = true;
  uint16_t parts[TxGroups::kChunk], count = 0;
  for (uint16_t i = first; i != TxGroups::kNone; i = groups_.next(i)) parts[count++] = i;
  while (settled && count > 0) settled = send_segments(out, base, &chunk[parts[--count]]);`,
    kind: 'send',
  },
  'what is behind a refused super-datagram overtakes it': {
    file: 'native/core/datapath/tx_flush.cc',
    from: `  while (g < groups && all_settled) {`,
    to: `  while (g < groups) {`,
    kind: 'send',
  },
  'a destination has two open groups': {
    file: 'native/core/datapath/tx_groups.cc',
    from: `    if (slot != nullptr) *slot = {s.stamp, static_cast<uint16_t>(count)};`,
    to: `    if (slot != nullptr && slot->stamp != s.stamp) *slot = {s.stamp, static_cast<uint16_t>(count)};`,
    kind: 'send',
  },
  "a batch is not cut at the ring's end": {
    file: 'native/core/endpoint/rx_turn.cc',
    from: `batch_->slots(places.count, `,
    to: `batch_->slots(most, `,
    kind: 'receive',
    dies: true,
  },
  'places reach beyond the oldest record': {
    file: 'native/core/memory/rx_ring.h',
    from: `write_ >= oldest_ ? memory_.arena_bytes : oldest_ - 1;`,
    to: `write_ >= oldest_ ? memory_.arena_bytes : memory_.arena_bytes;`,
    kind: 'receive',
  },
  'a socket is not added again when the loop hands over': {
    file: 'native/core/sharing/loop_sharing.cc',
    from: `    // Of what made the loop wake up the engine was never told, and the loop may not have read it all: the new
    // entry is checked for readiness.
    renew(endpoint, &refused);`,
    to: ``,
    kind: 'share',
  },
  'drops that a datagram tells of are not counted': {
    file: 'native/core/socket/kernel_drops.cc',
    from: `  reported_ = true;
  advance(total, counters);`,
    to: `  reported_ = true;
  if (total < counters.get(Counter::rx_kernel_drops)) advance(total, counters);`,
    kind: 'receive',
  },
  'more is read than the ring has room for': {
    file: 'native/core/endpoint/rx_turn.cc',
    from: `    wanted = yields_ ? 0 : std::min(most, room_for_messages(endpoint));`,
    to: `    wanted = yields_ || room_for_messages(endpoint) == 0 ? 0 : RxBatch::kSlots;`,
    kind: 'receive',
  },
  'what waits in a socket that fails for good waits for ever': {
    file: 'native/core/thread/io_thread.cc',
    from: `    work_off(endpoint);  // it may never be said to be writable`,
    to: `    watches_.set(*endpoint, kNothing, kWritable);`,
    kind: 'send',
  },
  'a socket that the loop gives up is watched by nobody': {
    file: 'native/core/sharing/loop_sharing.cc',
    from: `  calls_.postpone(endpoint, kReadable);
}`,
    to: `}`,
    kind: 'share',
  },
  'room that a crowd has given back is not seen': {
    file: 'native/core/memory/rx_ring.h',
    from: `    if (!leaves_too_little()) return false;
    look_at_tail();`,
    to: `    if (!leaves_too_little()) return false;`,
    kind: 'receive',
  },
  'unwatch() does not ask again': {
    file: 'native/core/thread/io_thread.cc',
    from: `  rewatch(find(endpoint.id), kNothing, kReadable);  // a backlog`,
    to: `  watches_.set(endpoint, kNothing, kReadable);  // a backlog`,
    kind: 'share',
  },
  'unwatch() does not take the lock': {
    file: 'native/core/thread/io_thread.cc',
    from: `  LoopSharing::LoopLock lock(sharing_);  // the I/O thread is between two rounds
  sharing_.remove(endpoint);`,
    to: `  sharing_.remove(endpoint);
  LoopSharing::LoopLock lock(sharing_);`,
    kind: 'lives',
    dies: true,
  },
  'a socket that is paused alone is forgotten': {
    file: 'native/core/thread/io_thread.cc',
    from: `  endpoint->paused = true;
  sharing_.on_full_ring();`,
    to: `  endpoint->paused = true;
  sharing_.on_full_ring();
  if (paused_.size() == 1) return;`,
    kind: 'receive',
  },
};
