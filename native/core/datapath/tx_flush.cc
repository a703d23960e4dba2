#include "core/datapath/tx_flush.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/errno_policy.h"
#include "core/base/udp_limits.h"

namespace ksocket {

namespace {

constexpr uint16_t kNone = UINT16_MAX;
constexpr uint32_t kTableSize = 2 * TxFlush::kChunk;

uint32_t hash_address(const Address& address) {
  uint64_t low, high;
  std::memcpy(&low, address.bytes, 8);
  std::memcpy(&high, address.bytes + 8, 8);
  uint64_t h = (low ^ (high * 0x9e3779b97f4a7c15) ^ (uint64_t{address.port} << 32)) * 0xbf58476d1ce4e5b9;
  return static_cast<uint32_t>(h >> 40);
}

// Mostly a run goes to one place: no need to parse that again and again.
bool same_destination(const Descriptor& a, const Descriptor& b) {
  constexpr size_t kFrom = offsetof(Descriptor, port);
  constexpr size_t kBytes = offsetof(Descriptor, scope_id) + sizeof a.scope_id - kFrom;
  return std::memcmp(reinterpret_cast<const uint8_t*>(&a) + kFrom,
                     reinterpret_cast<const uint8_t*>(&b) + kFrom, kBytes) == 0;
}

}  // namespace

// One message: a list of descriptors, linked through Scratch::next.
struct TxFlush::Group {
  Address to;
  uint32_t bytes;
  uint16_t first, last;
  uint16_t segment_size;
  uint16_t segments;
  bool open;  // takes more
};

struct TxFlush::Scratch {
  Group groups[kChunk];
  uint16_t next[kChunk];
  Message messages[kChunk];
  SockAddr names[kChunk];
  iovec iovs[kChunk];
  alignas(cmsghdr) uint8_t controls[kChunk][kTxControlBytes];
  // Destination → its latest group in this chunk; valid where the stamp is the current one.
  struct Slot {
    uint32_t stamp;
    uint16_t group;
  } table[kTableSize];
  uint32_t stamp;
};

TxFlush::TxFlush() : scratch_(new Scratch()) {}
TxFlush::~TxFlush() = default;

bool TxFlush::send(Engine& engine, TxSocket& socket, const uint8_t* base, std::span<Descriptor> descriptors) {
  socket.gso.refresh();
  while (!descriptors.empty()) {
    std::span<Descriptor> chunk = descriptors.first(std::min<size_t>(descriptors.size(), kChunk));
    descriptors = descriptors.subspan(chunk.size());
    if (send_chunk(engine, socket, base, chunk)) continue;
    for (Descriptor& descriptor : descriptors) descriptor.result = kResultDeferred;
    return false;
  }
  return true;
}

// Fills groups and next; returns the number of groups.
uint32_t TxFlush::group_chunk(const TxSocket& socket, std::span<Descriptor> chunk) {
  Scratch& s = *scratch_;
  s.stamp++;
  uint32_t count = 0;
  uint16_t previous = kNone;
  for (uint32_t i = 0; i < chunk.size(); i++) {
    const Descriptor& d = chunk[i];
    s.next[i] = kNone;

    Scratch::Slot* slot = nullptr;
    uint16_t g = kNone;
    Address to;
    if (i > 0 && same_destination(chunk[i - 1], d)) {
      g = previous;
      to = s.groups[g].to;
    } else {
      to = read_address(d);
    }
    if (g == kNone && socket.gso.enabled) {
      for (uint32_t at = hash_address(to) % kTableSize;; at = (at + 1) % kTableSize) {
        slot = &s.table[at];
        if (slot->stamp != s.stamp) break;
        if (s.groups[slot->group].to == to) {
          g = slot->group;
          break;
        }
      }
    }

    bool joined_already = d.segment_size != 0 && d.segment_size < d.length;
    if (g != kNone) {
      Group& group = s.groups[g];
      if (group.open && !joined_already && d.length > 0 && d.length <= group.segment_size &&
          group.bytes + d.length <= kJoinedBytesMax) {
        s.next[group.last] = static_cast<uint16_t>(i);
        group.last = static_cast<uint16_t>(i);
        group.bytes += d.length;
        group.segments++;
        group.open = d.length == group.segment_size && group.segments < kGsoSegmentsMax;
        previous = g;
        continue;
      }
    }

    uint16_t fresh = static_cast<uint16_t>(count++);
    Group& group = s.groups[fresh];
    group.to = to;
    group.bytes = d.length;
    group.first = group.last = static_cast<uint16_t>(i);
    group.segment_size =
        joined_already ? d.segment_size : static_cast<uint16_t>(std::min<uint32_t>(d.length, UINT16_MAX));
    group.segments = static_cast<uint16_t>(segments_of(d.length, joined_already ? d.segment_size : 0));
    group.open = !joined_already && d.length > 0 && socket.gso.allows(d.length);
    previous = fresh;
    // The destination's later datagrams must come behind this group: it takes the place of the older one.
    if (socket.gso.enabled) {
      if (slot == nullptr) {
        uint32_t at = hash_address(to) % kTableSize;
        while (s.table[at].stamp == s.stamp && !(s.groups[s.table[at].group].to == to))
          at = (at + 1) % kTableSize;
        slot = &s.table[at];
      }
      *slot = {s.stamp, fresh};
    }
  }
  return count;
}

void TxFlush::lay_out(uint8_t family, const uint8_t* base, std::span<Descriptor> chunk, uint32_t groups) {
  Scratch& s = *scratch_;
  uint32_t used = 0;
  for (uint32_t g = 0; g < groups; g++) {
    const Group& group = s.groups[g];
    msghdr& header = s.messages[g].header;
    header = {};
    if (group.to.family != 0) {
      s.names[g] = to_sockaddr(group.to);
      header.msg_name = &s.names[g].any;
      header.msg_namelen = s.names[g].length;
    }
    header.msg_iov = &s.iovs[used];
    for (uint16_t i = group.first; i != kNone; i = s.next[i]) {
      uint8_t* data = const_cast<uint8_t*>(base) + chunk[i].offset;
      iovec* last = header.msg_iovlen > 0 ? &header.msg_iov[header.msg_iovlen - 1] : nullptr;
      if (last != nullptr && static_cast<uint8_t*>(last->iov_base) + last->iov_len == data) {
        last->iov_len += chunk[i].length;
      } else {
        s.iovs[used++] = {data, chunk[i].length};
        header.msg_iovlen++;
      }
    }
    if (group.segments > 1) {
      header.msg_control = s.controls[g];
      append_segment_size(&header, family, group.segment_size);
    }
  }
}

bool TxFlush::send_chunk(Engine& engine, TxSocket& socket, const uint8_t* base, std::span<Descriptor> chunk) {
  Scratch& s = *scratch_;
  uint32_t groups = group_chunk(socket, chunk);
  lay_out(socket.family, base, chunk, groups);

  uint64_t calls = 0, datagrams = 0, bytes = 0, joined = 0, segments = 0, errors = 0;
  bool refused_once = false;
  bool all_settled = true;
  uint32_t g = 0;
  while (g < groups) {
    // Datagrams joined before they came here (an echoed super-datagram) may meet a socket that cannot.
    uint32_t ready = g;
    while (ready < groups &&
           (s.groups[ready].segments == 1 || socket.gso.allows(s.groups[ready].segment_size)))
      ready++;
    int sent = 0;
    if (ready > g) {
      sent = engine.send(socket.fd, std::span(s.messages + g, ready - g));
      calls++;
    }
    for (int k = 0; k < sent; k++, g++) {
      const Group& group = s.groups[g];
      for (uint16_t i = group.first; i != kNone; i = s.next[i])
        chunk[i].result = static_cast<int32_t>(chunk[i].length);
      datagrams += group.segments;
      bytes += group.bytes;
      if (group.segments > 1) joined++, segments += group.segments;
    }
    if (sent > 0) {
      refused_once = false;
      continue;
    }
    const Group& group = s.groups[g];
    Action action = sent == 0 ? Action::degrade : on_send_error(-sent, group.segments > 1);
    if (action == Action::retry) continue;
    if (action == Action::wait) {
      all_settled = false;
      break;
    }
    if (sent == -ECONNREFUSED && socket.retry_refused && !refused_once) {
      refused_once = true;
      errors++;
      continue;
    }
    if (group.segments > 1) {
      // Each datagram of the group gets a result of its own, and the good ones still go out.
      if (action == Action::degrade && sent < 0) {
        socket.gso.refused(group.segment_size, -sent);
        socket.counters.add_shared(Counter::tx_gso_fallbacks, 1);
      }
      uint16_t first = group.first;
      if (sent < 0 && answers_earlier_datagram(-sent) && group.first != group.last) {
        // What the first datagram would have met alone. The kernel says it only once: nobody else would
        // report it.
        chunk[first].result = sent;
        errors++;
        first = s.next[first];
      }
      if (!send_singly(engine, socket, base, chunk, first)) {
        g++;  // its own descriptors are marked already
        all_settled = false;
        break;
      }
    } else {
      chunk[group.first].result = sent;
      errors++;
    }
    refused_once = false;
    g++;
  }
  for (; g < groups; g++) {
    for (uint16_t i = s.groups[g].first; i != kNone; i = s.next[i]) chunk[i].result = kResultDeferred;
  }

  const Counters& counters = socket.counters;
  counters.add_shared(Counter::tx_calls, calls);
  counters.add_shared(Counter::tx_datagrams, datagrams);
  counters.add_shared(Counter::tx_bytes, bytes);
  if (joined > 0) {
    counters.add_shared(Counter::tx_gso_batches, joined);
    counters.add_shared(Counter::tx_gso_segments, segments);
  }
  if (errors > 0) counters.add_shared(Counter::tx_errors, errors);
  return all_settled;
}

// The datagrams of one group from `first` on, a message each. False when the kernel wants us to wait: the
// rest is marked deferred.
bool TxFlush::send_singly(Engine& engine, TxSocket& socket, const uint8_t* base, std::span<Descriptor> chunk,
                          uint16_t first) {
  for (uint16_t i = first; i != kNone; i = scratch_->next[i]) {
    if (send_segments(engine, socket, base, &chunk[i])) continue;
    for (i = scratch_->next[i]; i != kNone; i = scratch_->next[i]) chunk[i].result = kResultDeferred;
    return false;
  }
  return true;
}

bool TxFlush::send_segments(Engine& engine, TxSocket& socket, const uint8_t* base, Descriptor* descriptor) {
  SockAddr name = to_sockaddr(read_address(*descriptor));
  uint32_t each = descriptor->segment_size != 0 ? descriptor->segment_size : descriptor->length;
  uint32_t bytes_settled = 0;
  int32_t first_error = 0;
  bool refused_once = false;
  do {
    uint32_t length = std::min(each, descriptor->length);
    iovec iov{const_cast<uint8_t*>(base) + descriptor->offset, length};
    Message message{};
    message.header.msg_iov = &iov;
    message.header.msg_iovlen = 1;
    if (name.length > 0) {
      message.header.msg_name = &name.any;
      message.header.msg_namelen = name.length;
    }
    int sent = engine.send(socket.fd, std::span(&message, 1));
    socket.counters.add_shared(Counter::tx_calls, 1);
    if (sent < 0) {
      Action action = on_send_error(-sent, false);
      if (action == Action::retry) continue;
      if (action == Action::wait) {
        descriptor->result = kResultDeferred;
        return false;
      }
      socket.counters.add_shared(Counter::tx_errors, 1);
      if (sent == -ECONNREFUSED && socket.retry_refused && !refused_once) {
        refused_once = true;
        continue;
      }
      if (first_error == 0) first_error = sent;
    } else {
      socket.counters.add_shared(Counter::tx_datagrams, 1);
      socket.counters.add_shared(Counter::tx_bytes, length);
    }
    refused_once = false;
    bytes_settled += length;
    descriptor->offset += length;
    descriptor->length -= length;
  } while (descriptor->length > 0);
  descriptor->result = first_error != 0 ? first_error : static_cast<int32_t>(bytes_settled);
  return true;
}

}  // namespace ksocket
