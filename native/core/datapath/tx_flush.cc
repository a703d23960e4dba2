#include "core/datapath/tx_flush.h"

#include <algorithm>
#include <cerrno>

#include "core/base/errno_policy.h"
#include "core/datapath/say_more.h"

namespace ksocket {

namespace {

// Between two calls the network may report about one more.
constexpr int kQueuedInARow = 3;

}  // namespace

// The way out of one flush: calls the engine for the socket, again where that is all there is to do, and
// keeps count.
class TxFlush::Outlet {
 public:
  Outlet(Engine& engine, TxSocket& socket) : socket(socket), engine_(engine) {}
  ~Outlet() { count(); }

  // How many messages left, or -errno of the first and in `action` what is to be done about it: wait, report
  // or stop.
  int send(std::span<Message> messages, Action* action) {
    int queued = 0;  // errors that may have been about others
    for (bool refused_once = false;;) {
      int sent = engine_.send(socket.fd, messages);
      calls++;
      if (sent > 0) return sent;
      *action = on_send_error(-sent);
      if (*action == Action::wait) blocked_by = -sent;
      if (*action == Action::retry) continue;
      // Again: what is about this datagram is said again.
      if (socket.errors_are_queued && is_queued_error(-sent) && ++queued <= kQueuedInARow) continue;
      if (sent != -ECONNREFUSED || !socket.retry_refused || refused_once) return sent;
      refused_once = true;
      errors++;
    }
  }

  // One of the descriptor's datagrams: it is counted, and told to who asks.
  void refused(const Descriptor& of, uint32_t bytes) {
    errors++;
    if (socket.refused != nullptr) socket.refused->push_back({&of, bytes});
  }

  TxSocket& socket;
  uint64_t calls = 0, datagrams = 0, bytes = 0, joined = 0, segments = 0, fallbacks = 0, errors = 0,
           timed = 0;
  int blocked_by = 0;          // the latest errno that says to wait
  uint32_t largest_alone = 0;  // of the datagrams that left alone since somebody set it

 private:
  void count() const {
    const Counters& counters = socket.counters;
    counters.add_atomic(Counter::tx_calls, calls);
    counters.add_atomic(Counter::tx_datagrams, datagrams);
    counters.add_atomic(Counter::tx_bytes, bytes);
    if (joined > 0) {
      counters.add_atomic(Counter::tx_gso_batches, joined);
      counters.add_atomic(Counter::tx_gso_segments, segments);
    }
    if (fallbacks > 0) counters.add_atomic(Counter::tx_gso_fallbacks, fallbacks);
    if (errors > 0) counters.add_atomic(Counter::tx_errors, errors);
    if (timed > 0) counters.add_atomic(Counter::tx_timed, timed);
  }

  Engine& engine_;
};

namespace {

// Of what is sent segment by segment, in one call.
constexpr uint32_t kSegmentsAtOnce = 64;

void skip(Descriptor* descriptor, uint32_t bytes) {
  descriptor->offset += bytes;
  descriptor->length -= bytes;
}

Message alone(SocketName* to, iovec* payload) {
  Message out{};
  out.header.msg_iov = payload;
  out.header.msg_iovlen = 1;
  if (to != nullptr && to->length > 0) {
    out.header.msg_name = &to->any;
    out.header.msg_namelen = to->length;
  }
  return out;
}

}  // namespace

bool TxFlush::send(Engine& engine, TxSocket& socket, const uint8_t* base, std::span<Descriptor> descriptors,
                   std::span<const Source> sources) {
  sources_ = sources;
  socket.gso.refresh(engine.traits().gso_segments_max);
  Outlet out(engine, socket);
  while (!descriptors.empty()) {
    std::span<Descriptor> chunk = descriptors.first(std::min<size_t>(descriptors.size(), kChunk));
    descriptors = descriptors.subspan(chunk.size());
    if (send_chunk(out, base, chunk)) continue;
    for (Descriptor& descriptor : descriptors) descriptor.result = kResultDeferred;
    blocked_by_ = out.blocked_by;
    return false;
  }
  return true;
}

int TxFlush::send_one(Engine& engine, TxSocket& socket, std::span<const uint8_t> payload, SocketName* to) {
  Outlet out(engine, socket);
  iovec whole{const_cast<uint8_t*>(payload.data()), payload.size()};
  Message message = alone(to, &whole);
  Action action;
  int sent = out.send({&message, 1}, &action);
  if (sent <= 0) {
    if (action != Action::wait) out.errors++;
    return sent;
  }
  out.datagrams = 1;
  out.bytes = payload.size();
  return static_cast<int>(payload.size());
}

bool TxFlush::send_chunk(Outlet& out, const uint8_t* base, std::span<Descriptor> chunk) {
  const TxSocket& socket = out.socket;
  uint32_t groups = groups_.form(socket.gso, socket.family, base, chunk, sources_);
  bool all_settled = true;
  uint32_t g = 0;
  while (g < groups && all_settled) {
    uint32_t end = sendable(socket.gso, g, groups);
    if (end == g) {
      all_settled = send_singly(out, base, chunk, groups_[g++].first);
      continue;
    }
    Action action;
    int sent = out.send(groups_.messages(g, end), &action);
    for (int k = 0; k < sent; k++) settle_sent(out, groups_[g++], chunk);
    if (sent > 0) continue;
    // For want of memory a super-datagram may be refused where each of its datagrams finds some.
    bool wait = action == Action::wait && (sent == -EAGAIN || groups_[g].segments == 1);
    if (wait) {
      all_settled = false;
    } else {
      all_settled = settle_refused(out, groups_[g++], sent, base, chunk);
    }
  }
  for (; g < groups; g++) defer(chunk, groups_[g].first);
  return all_settled;
}

// How far one call may go from the group `first` on: datagrams joined before they came here (an echoed
// super-datagram) may meet a socket that cannot send them so, and a size or number that was refused is left
// alone.
uint32_t TxFlush::sendable(const GsoPolicy& gso, uint32_t first, uint32_t groups) const {
  uint32_t end = first;
  while (end < groups &&
         (groups_[end].segments == 1 || (groups_[end].segments <= gso.segments_max() &&
                                         gso.allows(groups_[end].to, groups_[end].segment_size)))) {
    end++;
  }
  return end;
}

void TxFlush::settle_sent(Outlet& out, const Group& group, std::span<Descriptor> chunk) {
  for (uint16_t i = group.first; i != TxGroups::kNone; i = groups_.next(i)) {
    chunk[i].result = static_cast<int32_t>(chunk[i].length);
  }
  out.datagrams += group.segments;
  out.bytes += group.bytes;
  if (group.segments == 1) {
    if (chunk[group.first].flags & kTimed) out.timed++;
    return;
  }
  out.joined++;
  out.segments += group.segments;
  out.socket.gso.left(group.segment_size);
}

// The group did not leave because of `error`, -errno. Each datagram gets a result of its own, and the good
// ones still go out. False when the kernel wants us to wait meanwhile.
bool TxFlush::settle_refused(Outlet& out, const Group& group, int error, const uint8_t* base,
                             std::span<Descriptor> chunk) {
  if (group.segments == 1) {
    chunk[group.first].result = error;
    out.refused(chunk[group.first], chunk[group.first].length);
    return true;
  }
  uint16_t first = group.first;
  bool about_earlier = answers_earlier_datagram(-error);
  if (about_earlier) {
    // What the first datagram would have met alone. The kernel says it only once: nobody else would report
    // it.
    if (segments_of(chunk[first].length, chunk[first].segment_size) > 1) {
      out.refused(chunk[first], chunk[first].segment_size);
      skip(&chunk[first], chunk[first].segment_size);
    } else {
      out.refused(chunk[first], chunk[first].length);
      chunk[first].result = error;
      first = groups_.next(first);
    }
  }
  out.largest_alone = 0;
  bool settled = send_singly(out, base, chunk, first);
  // Else it was not about joining: what is refused alone, too, says nothing of the others.
  if (!about_earlier && out.largest_alone >= group.segment_size) {
    out.socket.gso.refused(group.to, group.segment_size, -error, group.segments);
    out.fallbacks++;
  }
  return settled;
}

// The datagrams of one group from `first` on, a message each. False when the kernel wants us to wait: the
// rest is marked deferred.
bool TxFlush::send_singly(Outlet& out, const uint8_t* base, std::span<Descriptor> chunk, uint16_t first) {
  for (uint16_t i = first; i != TxGroups::kNone; i = groups_.next(i)) {
    if (send_segments(out, base, &chunk[i])) continue;
    defer(chunk, i);
    return false;
  }
  return true;
}

void TxFlush::defer(std::span<Descriptor> chunk, uint16_t first) {
  for (uint16_t i = first; i != TxGroups::kNone; i = groups_.next(i)) chunk[i].result = kResultDeferred;
}

// One descriptor, a message for each of its segments. False when the kernel wants us to wait: offset and
// length are those of the rest.
bool TxFlush::send_segments(Outlet& out, const uint8_t* base, Descriptor* descriptor) {
  SocketName name;
  if (descriptor->family != 0) write_name(read_address(*descriptor), &name);
  uint32_t each = descriptor->segment_size != 0 ? descriptor->segment_size : descriptor->length;
  uint32_t bytes_settled = 0;
  int32_t first_error = 0;
  Message messages[kSegmentsAtOnce];
  iovec iovs[kSegmentsAtOnce];
  alignas(cmsghdr) uint8_t control[kTxControlBytes];
  msghdr more{};
  more.msg_control = control;
  if (descriptor->flags & kSaysMore) say_more(&more, out.socket.family, *descriptor, sources_);
  do {
    uint32_t count = std::min(segments_of(descriptor->length, each), kSegmentsAtOnce);
    for (uint32_t i = 0; i < count; i++) {
      iovs[i] = {const_cast<uint8_t*>(base) + descriptor->offset + i * each,
                 std::min(each, descriptor->length - i * each)};
      messages[i] = alone(&name, &iovs[i]);
      if (more.msg_controllen == 0) continue;
      messages[i].header.msg_control = more.msg_control;
      messages[i].header.msg_controllen = more.msg_controllen;
    }
    Action action;
    int sent = out.send(std::span(messages, count), &action);
    if (sent <= 0 && action == Action::wait) return false;
    if (sent > 0) {
      out.datagrams += static_cast<uint32_t>(sent);
      out.largest_alone = std::max(out.largest_alone, static_cast<uint32_t>(iovs[0].iov_len));
    } else {
      out.refused(*descriptor, static_cast<uint32_t>(iovs[0].iov_len));
      if (first_error == 0) first_error = sent;
    }
    uint32_t settled = std::min(std::max(sent, 1) * each, descriptor->length);
    if (sent > 0) out.bytes += settled;
    bytes_settled += settled;
    skip(descriptor, settled);
  } while (descriptor->length > 0);
  descriptor->result = first_error != 0 ? first_error : static_cast<int32_t>(bytes_settled);
  return true;
}

}  // namespace ksocket
