#include "core/answer/tunnel.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/clock.h"
#include "core/socket/path_mtu.h"
#include "core/tunnel/mss.h"

namespace ksocket {

namespace {

// What a read or write says of a device that is gone: detached, or about to be (tun.c).
bool means_gone(int error) {
  return error == EBADFD || error == EBADF || error == ENODEV;
}

// With both tags of 802.1ad.
uint32_t frame_bytes_max(uint32_t mtu) {
  return mtu + kEthernetBytes + 2 * kVlanTagBytes;
}

}  // namespace

Tunnel::Tunnel(Options options, Tap tap, int fd, uint8_t family, Host host, bool offloads,
               TunnelCounters cells, Counters counters)
    : options_(std::move(options)),
      host_(std::move(host)),
      prefix_bytes_(options_.vxlan ? kVxlanBytes : 0),
      tap_(std::move(tap)),
      socket_(fcntl(fd, F_DUPFD_CLOEXEC, 0)),
      tx_(fd, family, counters),
      leaving_(prefix_bytes_),
      counters_(cells),
      table_(options_.addresses_max, options_.age_ns),
      remotes_(0, AddressHash{random_seed()}),
      family_(family),
      path_mtu_(options_.path_overhead_bytes + tap_.mtu),
      read_(new uint8_t[kReadBytes]),
      out_(new uint8_t[kOutBytes]) {
  options_.device.networks_needed = false;  // of one that is made again, or too short for IPv6 by now
  write_vxlan(options_.vni, prefix_);
  tx_.gso.enabled = offloads;
  tx_.retry_refused = true;
  tx_.refused = leaving_.refused();
  for (uint32_t i = 0; i < options_.remotes.size(); i++) {
    Address from = options_.remotes[i];
    // Of VXLAN's datagrams the source port says nothing: it is chosen by what is inside.
    if (options_.vxlan) from.port = 0;
    remotes_.emplace(from, i);
  }
  for (const auto& [mac, remote] : options_.addresses) table_.set(mac, remote);
  tell_device();
}

Tunnel::~Tunnel() {
  if (waits_) host_.unwatch(socket_.get());
  if (tap_.fd && !waits_) host_.unwatch(tap_.fd.get());
}

void Tunnel::send_by(Fd sender) {
  sender_ = std::move(sender);
  tx_.fd = sender_.get();
  socket_ = Fd(fcntl(tx_.fd, F_DUPFD_CLOEXEC, 0));
}

int Tunnel::start() {
  return socket_ ? watch_device() : -EMFILE;
}

void Tunnel::ready(const ResponderTools& tools, uint32_t key) {
  if (key == kSocket && waits_) return go_on(tools);
  if (key == kDevice && !waits_ && tap_.fd) read_device(tools);
}

void Tunnel::tick() {
  table_.forget_old(clock_ns(CLOCK_MONOTONIC_COARSE));
  if (tap_.fd) {
    refresh_tap(&tap_);
    follow_path();
  } else {
    learn_path();
    if (!open_tap(options_.device, &tap_) && !waits_ && watch_device() != 0)
      tap_.fd.reset();  // and again with the next tick
  }
  tell_device();
}

void Tunnel::tell_device() {
  counters_.set(TunnelCounter::mtu, tap_.fd ? tap_.mtu : 0);
  counters_.set(TunnelCounter::known_addresses, table_.size());
}

// What is told of a path is kept for ten minutes (net.ipv4.route.mtu_expires): it becomes longer again, too.
// Somebody's own change stays until then.
void Tunnel::follow_path() {
  path_is_too_short_ = false;
  if (!learn_path()) return;
  TapOptions changed = options_.device;
  changed.up = false, changed.queue_frames = 0;  // as somebody else has it by now
  // Below 1280 it has no IPv6: such addresses are refused, and come back with a longer one.
  set_up_tap(changed, &tap_);
  if (tap_.mtu != changed.mtu) return;  // shorter than the kernel allows
  counters_.add(TunnelCounter::mtu_changes, 1);
}

// For the device, also while it is gone: of several paths the one that has the least. Is it another one than
// before?
bool Tunnel::learn_path() {
  if (options_.path_overhead_bytes == 0) return false;
  uint32_t least = UINT32_MAX;
  for (const Address& remote : options_.remotes) {
    int mtu = path_mtu(tx_.fd, family_, remote);
    if (mtu > 0) least = std::min(least, static_cast<uint32_t>(mtu));
  }
  if (least == UINT32_MAX || least == path_mtu_ || least <= options_.path_overhead_bytes) return false;
  path_mtu_ = least;
  options_.device.mtu = least - options_.path_overhead_bytes;
  return true;
}

void Tunnel::lose_device() {
  if (!waits_) host_.unwatch(tap_.fd.get());
  tap_.fd.reset();
  counters_.add(TunnelCounter::device_losses, 1);
  tell_device();
}

// ---- from the device to the remotes

void Tunnel::read_device(const ResponderTools& tools) {
  for (uint32_t reads = 0; reads < kReadsMax && out_bytes_ < kGatherBytes;) {
    ssize_t bytes = read(tap_.fd.get(), read_.get(), kReadBytes);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) {
      // A device that is being removed says EIO, and nobody is told once more.
      if (means_gone(errno) || errno == EIO) lose_device();
      break;
    }
    reads++;
    tools.round.frames++;
    counters_.add(TunnelCounter::device_reads, 1);
    VnetHeader header;
    if (static_cast<size_t>(bytes) < sizeof header + kEthernetBytes) {
      counters_.add(TunnelCounter::unsendable_drops, 1);
      continue;
    }
    std::memcpy(&header, read_.get(), sizeof header);
    send(tools, header, {read_.get() + sizeof header, static_cast<size_t>(bytes) - sizeof header});
  }
  flush(tools);
}

void Tunnel::send(const ResponderTools& tools, const VnetHeader& header, std::span<uint8_t> frame) {
  auto segmentation = Segmentation::of(header, frame);
  if (!segmentation || segmentation->bytes(prefix_bytes_) > kOutBytes - out_bytes_)
    return counters_.add(TunnelCounter::unsendable_drops, 1);
  if (options_.clamp_mss) clamp_mss(frame, tap_.mtu);
  uint32_t remote = 0;
  if (options_.remotes.size() > 1) {
    bool group = ForwardingTable::is_group(frame.data());
    remote = group ? ForwardingTable::kUnknown
                   : table_.find(ForwardingTable::mac_of(frame.data()), clock_ns(CLOCK_MONOTONIC_COARSE));
    if (remote == ForwardingTable::kUnknown && !group && !options_.flood)
      return counters_.add(TunnelCounter::unknown_destination_drops, segmentation->count());
  }
  segmentation->write({prefix_, prefix_bytes_}, out_.get() + out_bytes_);
  auto bytes = static_cast<uint32_t>(segmentation->bytes(prefix_bytes_));
  uint32_t each = prefix_bytes_ + segmentation->frame_bytes();
  uint32_t joined = std::min(kJoinedBytesMax / each, tools.engine.traits().gso_segments_max);
  uint32_t step = std::max(joined, 1u) * each;
  for (uint32_t at = 0; at < bytes; at += step) {
    Descriptor descriptor{};
    descriptor.offset = out_bytes_ + at;
    descriptor.length = std::min(step, bytes - at);
    descriptor.segment_size = static_cast<uint16_t>(descriptor.length > each ? each : 0);
    bool all = remote == ForwardingTable::kUnknown;
    leaving_.add(descriptor,
                 all ? std::span<const Address>(options_.remotes) : std::span(&options_.remotes[remote], 1));
  }
  if (remote == ForwardingTable::kUnknown)
    counters_.add(TunnelCounter::frames_flooded, segmentation->count());
  out_bytes_ += bytes;
}

void Tunnel::flush(const ResponderTools& tools) {
  if (leaving_.empty()) return;
  std::span<Descriptor> all = leaving_.descriptors();
  bool settled = tools.flush.send(tools.engine, tx_, out_.get(), all);
  auto too_long = [](const Descriptor& each) { return each.result == -EMSGSIZE; };
  if (!path_is_too_short_ && std::any_of(all.begin(), all.end(), too_long)) {
    follow_path();  // now, and if that was not it, with the next tick
    path_is_too_short_ = true;
  }
  count_sent(leaving_.settle());
  // For want of memory, and not of room in the socket: nobody says when there is some.
  if (!settled && tools.flush.blocked_by() != EAGAIN) drop_waiting();
  if (leaving_.empty()) {
    out_bytes_ = 0;
  } else {
    wait_for_room();
  }
}

void Tunnel::count_sent(const Departures::Left& left) {
  counters_.add(TunnelCounter::frames_sent, left.frames);
  counters_.add(TunnelCounter::bytes_sent, left.bytes);
}

void Tunnel::drop_waiting() {
  Departures::Left left;
  counters_.add(TunnelCounter::send_drops, leaving_.give_up(&left));
  count_sent(left);
  out_bytes_ = 0;
}

// The socket's buffer is full: what waits leaves before the device is read again.
void Tunnel::wait_for_room() {
  if (waits_) return;
  if (host_.watch(socket_.get(), kSocket, kWritable) != 0) return drop_waiting();
  waits_ = true;
  if (tap_.fd) host_.unwatch(tap_.fd.get());
}

void Tunnel::go_on(const ResponderTools& tools) {
  flush(tools);
  if (!leaving_.empty()) return;
  host_.unwatch(socket_.get());
  waits_ = false;
  if (tap_.fd && watch_device() != 0) tap_.fd.reset();
}

// ---- from the remotes to the device

std::span<const Incoming> Tunnel::answer(const ResponderTools& tools, const uint8_t* base,
                                         std::span<const Incoming> batch) {
  uint64_t now_ns = clock_ns(CLOCK_MONOTONIC_COARSE);
  tools.round.frames += static_cast<uint32_t>(batch.size());
  for (const Incoming& incoming : batch) {
    uint32_t remote = remote_of(incoming.from);
    if (remote == ForwardingTable::kUnknown) {
      uint32_t datagrams = segments_of(incoming.length, incoming.segment_size);
      counters_.add(TunnelCounter::unknown_remote_drops, datagrams);
      continue;
    }
    if (receive_joined_inside({base + incoming.offset, incoming.length}, incoming.segment_size, remote,
                              now_ns))
      continue;
    for_each_datagram(incoming, [&](uint32_t offset, uint32_t length) {
      receive({base + offset, length}, remote, now_ns);
    });
  }
  write_device();
  return {};  // nothing of it is JavaScript's
}

uint32_t Tunnel::remote_of(const Address& from) {
  Address key = from;
  if (options_.vxlan) key.port = 0;
  if (key == latest_from_) return latest_remote_;
  auto found = remotes_.find(key);
  latest_from_ = key;
  latest_remote_ = found == remotes_.end() ? ForwardingTable::kUnknown : found->second;
  return latest_remote_;
}

// The kernel's vxlan device, where no network card is between (veth), leaves many datagrams of UDP inside in
// one frame; then what its message says of a segment's size is that of the payloads inside.
bool Tunnel::receive_joined_inside(std::span<const uint8_t> datagram, uint16_t segment_size, uint32_t remote,
                                   uint64_t now_ns) {
  if (segment_size == 0 || !options_.vxlan || check_vxlan(datagram, options_.vni) != Vxlan::valid)
    return false;
  std::span<const uint8_t> frame = datagram.subspan(kVxlanBytes);
  FrameLayout layout = layout_of(frame);
  if (layout.protocol != kUdp || layout.end != frame.size() || !is_unfinished(frame, layout)) return false;
  uint32_t payload_bytes = layout.end - layout.transport - udp::kBytes;
  bool joined = payload_bytes > segment_size;
  size_t bytes = joined ? size_t{layout.transport} + udp::kBytes + segment_size : frame.size();
  if (!takes(frame, bytes, remote, now_ns)) return true;
  joiner_.add(frame, tap_.mtu, joined ? segment_size : uint16_t{0});
  if (joiner_.full()) write_device();
  return true;
}

void Tunnel::receive(std::span<const uint8_t> datagram, uint32_t remote, uint64_t now_ns) {
  if (options_.vxlan) {
    Vxlan is = check_vxlan(datagram, options_.vni);
    if (is == Vxlan::malformed) return counters_.add(TunnelCounter::malformed_drops, 1);
    if (is == Vxlan::other_vni) return counters_.add(TunnelCounter::other_vni_drops, 1);
    datagram = datagram.subspan(kVxlanBytes);
  }
  size_t bytes = divided_bytes(datagram, tap_.mtu, frame_bytes_max(tap_.mtu));
  if (!takes(datagram, bytes, remote, now_ns)) return;
  // The memory that was received into is the thread's own.
  if (options_.clamp_mss) clamp_mss({const_cast<uint8_t*>(datagram.data()), datagram.size()}, tap_.mtu);
  joiner_.add(datagram, tap_.mtu);
  if (joiner_.full()) write_device();
}

bool Tunnel::takes(std::span<const uint8_t> frame, size_t bytes, uint32_t remote, uint64_t now_ns) {
  auto drop = [&](TunnelCounter why) {
    counters_.add(why, 1);
    return false;
  };
  if (frame.size() < kEthernetBytes) return drop(TunnelCounter::malformed_drops);
  if (bytes > frame_bytes_max(tap_.mtu)) return drop(TunnelCounter::too_long_drops);
  const uint8_t* source = frame.data() + 6;
  if (ForwardingTable::is_group(source)) return drop(TunnelCounter::refused_source_drops);
  if (options_.remotes.size() == 1) return true;
  using Learned = ForwardingTable::Learned;
  switch (table_.learn(ForwardingTable::mac_of(source), remote, now_ns)) {
    case Learned::refused:
      return drop(TunnelCounter::refused_source_drops);
    case Learned::added:
      counters_.set(TunnelCounter::known_addresses, table_.size());
      return true;
    case Learned::full:
      counters_.add(TunnelCounter::addresses_not_learned, 1);
      return true;
    case Learned::moved:
      counters_.add(TunnelCounter::addresses_moved, 1);
      return true;
    default:
      return true;
  }
}

void Tunnel::write_device() {
  joiner_.take([&](const Joiner::Write& write) {
    ssize_t written = -1;
    if (tap_.fd) {
      do {
        written = writev(tap_.fd.get(), write.pieces.data(), static_cast<int>(write.pieces.size()));
      } while (written < 0 && errno == EINTR);
      if (written < 0 && means_gone(errno)) lose_device();
    }
    if (written < 0) return counters_.add(TunnelCounter::device_drops, write.frames);
    counters_.add(TunnelCounter::device_writes, 1);
    counters_.add(TunnelCounter::frames_received, write.frames);
    counters_.add(TunnelCounter::bytes_received, write.bytes);
  });
}

}  // namespace ksocket
