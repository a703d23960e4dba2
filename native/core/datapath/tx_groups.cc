#include "core/datapath/tx_groups.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "core/base/udp_limits.h"
#include "core/datapath/say_more.h"

namespace ksocket {

namespace {

uint32_t hash_address(const Address& address) {
  uint64_t low, high;
  std::memcpy(&low, address.bytes, 8);
  std::memcpy(&high, address.bytes + 8, 8);
  uint64_t h = (low ^ (high * 0x9e3779b97f4a7c15) ^ (uint64_t{address.port} << 32)) * 0xbf58476d1ce4e5b9;
  return static_cast<uint32_t>(h >> 40);
}

// Mostly a run goes to one place, and says nothing more: no need to look at that again and again.
bool go_alike(const Descriptor& a, const Descriptor& b) {
  constexpr size_t kFrom = offsetof(Descriptor, port);
  constexpr size_t kBytes = offsetof(Descriptor, scope_id) + sizeof a.scope_id - kFrom;
  return std::memcmp(reinterpret_cast<const uint8_t*>(&a) + kFrom,
                     reinterpret_cast<const uint8_t*>(&b) + kFrom, kBytes) == 0 &&
         say_alike(a, b);
}

// Did it come here joined, as an echoed super-datagram does, or a run of sendMany's?
bool is_joined(const Descriptor& datagram) {
  return datagram.segment_size != 0 && datagram.segment_size < datagram.length;
}

// Is it made of whole segments, so that others may follow?
inline bool is_full(const Descriptor& datagram, uint32_t segment_size) {
  return datagram.length == segment_size || datagram.length % segment_size == 0;
}

// `to` may be the group's own.
void start(TxGroups::Group* group, const Address& to, uint16_t place, const Descriptor& datagram,
           const GsoPolicy& gso) {
  bool joined = is_joined(datagram);
  uint32_t segment_size = joined ? datagram.segment_size : std::min<uint32_t>(datagram.length, UINT16_MAX);
  if (&group->to != &to) group->to = to;
  group->bytes = datagram.length;
  group->first = group->last = place;
  group->segment_size = static_cast<uint16_t>(segment_size);
  group->segments = static_cast<uint16_t>(segments_of(datagram.length, joined ? segment_size : 0));
  group->open = datagram.length > 0 && group->segments < gso.segments_max() &&
                is_full(datagram, segment_size) && gso.allows(to, segment_size);
}

// False where the group does not take it.
inline bool join(TxGroups::Group* group, uint16_t* next, uint16_t place, const Descriptor& datagram,
                 uint32_t segments_max) {
  if (!group->open || datagram.length == 0 || group->bytes + datagram.length > kJoinedBytesMax) return false;
  uint32_t segments = group->segments + 1u;
  if (is_joined(datagram)) {
    if (datagram.segment_size != group->segment_size) return false;
    segments = group->segments + segments_of(datagram.length, datagram.segment_size);
    if (segments > segments_max) return false;
  } else if (datagram.length > group->segment_size) {
    return false;
  }
  next[group->last] = place;
  group->last = place;
  group->bytes += datagram.length;
  group->segments = static_cast<uint16_t>(segments);
  group->open = is_full(datagram, group->segment_size) && segments < segments_max;
  return true;
}

}  // namespace

uint32_t TxGroups::form(const GsoPolicy& gso, uint8_t family, const uint8_t* base,
                        std::span<const Descriptor> chunk, std::span<const Source> sources) {
  uint32_t groups = group(gso, chunk);
  lay_out(family, base, chunk, sources, groups);
  return groups;
}

uint32_t TxGroups::group(const GsoPolicy& gso, std::span<const Descriptor> chunk) {
  Scratch& s = scratch_[0];
  new_stamp();
  uint32_t count = 0;
  const uint32_t segments_max = gso.segments_max();
  const Address* to = nullptr;
  Slot* slot = nullptr;     // of that destination; none where nothing is joined anyway
  Group* latest = nullptr;  // of that destination
  for (uint16_t i = 0; i < chunk.size(); i++) {
    s.next[i] = kNone;
    if (i == 0 || !go_alike(chunk[i - 1], chunk[i])) {
      // Read straight into the next free group, where it stays if it gets one: to copy what was just written
      // in pieces is a store-forwarding stall.
      to = new (&s.groups[count].to) Address(read_address(chunk[i]));
      slot = gso.enabled ? slot_of(*to) : nullptr;
      latest = slot != nullptr && slot->stamp == s.stamp ? &s.groups[slot->group] : nullptr;
      if (latest != nullptr && !say_alike(chunk[latest->first], chunk[i])) latest = nullptr;
    }
    if (latest != nullptr && join(latest, s.next, i, chunk[i], segments_max)) continue;
    // The destination's later datagrams must come behind this group: it takes the place of the older one.
    latest = &s.groups[count];
    if (slot != nullptr) *slot = {s.stamp, static_cast<uint16_t>(count)};
    start(latest, *to, i, chunk[i], gso);
    count++;
  }
  return count;
}

void TxGroups::new_stamp() {
  if (++scratch_[0].stamp != 0) return;
  std::fill_n(scratch_[0].slots, kSlots, Slot{});  // of stamps that come again
  scratch_[0].stamp = 1;
}

// Where the destination's latest group is noted, or is to be. There are more slots than datagrams.
TxGroups::Slot* TxGroups::slot_of(const Address& to) {
  Scratch& s = scratch_[0];
  for (uint32_t at = hash_address(to) % kSlots;; at = (at + 1) % kSlots) {
    Slot& slot = s.slots[at];
    if (slot.stamp != s.stamp || s.groups[slot.group].to == to) return &slot;
  }
}

void TxGroups::lay_out(uint8_t family, const uint8_t* base, std::span<const Descriptor> chunk,
                       std::span<const Source> sources, uint32_t groups) {
  Scratch& s = scratch_[0];
  iovec* iovs = s.iovs;
  for (uint32_t g = 0; g < groups; g++) {
    const Group& group = s.groups[g];
    msghdr& header = s.messages[g].header;
    header = {};
    if (group.to.family == kLocal) {
      if (g > 0 && s.groups[g - 1].to == group.to) {  // to look a name up takes a lock
        header.msg_name = s.messages[g - 1].header.msg_name;
        header.msg_namelen = s.messages[g - 1].header.msg_namelen;
      } else {
        SocketName& name = local_name(g);
        write_name(group.to, &name);
        header.msg_name = &name.any;
        header.msg_namelen = name.length;
      }
    } else if (group.to.family != 0) {
      s.names[g] = to_sockaddr(group.to);
      header.msg_name = &s.names[g].any;
      header.msg_namelen = s.names[g].length;
    }
    header.msg_iov = iovs;
    header.msg_iovlen = gather(group, base, chunk, iovs);
    iovs += header.msg_iovlen;
    const Descriptor& first = chunk[group.first];
    if (group.segments > 1) {
      header.msg_control = s.controls[g];
      append_segment_size(&header, group.segment_size);
    }
    if (first.flags & kSaysMore) {
      header.msg_control = s.controls[g];
      say_more(&header, family, first, sources);
    }
  }
}

// Of a local destination: too long for the others' array, and rare.
SocketName& TxGroups::local_name(uint32_t group) {
  if (!local_names_) local_names_ = std::make_unique<SocketName[]>(kChunk);
  return local_names_[group];
}

// The group's payloads; those that lie back to back are one. Returns how many there are.
uint32_t TxGroups::gather(const Group& group, const uint8_t* base, std::span<const Descriptor> chunk,
                          iovec* iovs) {
  const uint16_t* next = scratch_[0].next;
  iovec* last = iovs;
  *last = {const_cast<uint8_t*>(base) + chunk[group.first].offset, chunk[group.first].length};
  for (uint16_t i = next[group.first]; i != kNone; i = next[i]) {
    uint8_t* data = const_cast<uint8_t*>(base) + chunk[i].offset;
    if (static_cast<uint8_t*>(last->iov_base) + last->iov_len == data) {
      last->iov_len += chunk[i].length;
    } else {
      *++last = {data, chunk[i].length};
    }
  }
  return static_cast<uint32_t>(last - iovs) + 1;
}

}  // namespace ksocket
