// IoThreadObject: a network behind a socket. The first argument of each call is the socket's id.
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "bridge/io_thread_object.h"
#include "core/answer/tunnel.h"
#include "core/base/kernel_names.h"
#include "core/socket/socket.h"

namespace ksocket {

namespace {

// A super-datagram is charged with more than its 64 KiB, so the default has room for two.
constexpr int kBufferBytes = 8 << 20;

// Beyond the machine's limit: whoever may make a device may do this, too. Where not, up to it.
void make_buffers_large(int fd) {
  auto set = [&](int forced, int limited) {
    if (setsockopt(fd, SOL_SOCKET, forced, &kBufferBytes, sizeof kBufferBytes) == 0) return;
    setsockopt(fd, SOL_SOCKET, limited, &kBufferBytes, sizeof kBufferBytes);
  };
  set(SO_RCVBUFFORCE, SO_RCVBUF);
  set(SO_SNDBUFFORCE, SO_SNDBUF);
}

// Of VXLAN a datagram without a checksum is to be taken (RFC 7348, 5), over IPv6, too (RFC 6935): what is
// inside has its own. The kernel drops it unless told.
void take_without_checksum(int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_UDP, UDP_NO_CHECK6_RX, &on, sizeof on);
}

// { name, persistent, multiQueue, mtu, queueFrames, networks: { family, address, port: bits of the prefix }[]
// }
int device_options(Reader& reader, const Napi::Value& given, TapOptions* out) {
  out->name = text(reader.get(given, "name"));
  out->persistent = boolean(reader.get(given, "persistent"));
  out->multi_queue = boolean(reader.get(given, "multiQueue"));
  out->mtu = u32(reader.get(given, "mtu"));
  out->queue_frames = u32(reader.get(given, "queueFrames"));
  for (const auto& network : reader.elements(reader.get(given, "networks"))) {
    TapOptions::Network& added = out->networks.emplace_back();
    if (int error = address_of(reader, network, &added.address)) return error;
    added.prefix_bits = static_cast<uint8_t>(std::exchange(added.address.port, uint16_t{0}));
  }
  return reader.error();
}

// { device, vxlan, vni, remotes: { family, address, port }[], addresses: { mac: Uint8Array, remote }[],
// addressesMax, ageMs, clampMss, pathOverhead, flood }
int tunnel_options(Reader& reader, const Napi::Value& given, Tunnel::Options* out) {
  if (int error = device_options(reader, reader.get(given, "device"), &out->device)) return error;
  out->vxlan = boolean(reader.get(given, "vxlan"));
  out->vni = u32(reader.get(given, "vni"));
  for (const auto& remote : reader.elements(reader.get(given, "remotes"))) {
    if (int error = address_of(reader, remote, &out->remotes.emplace_back())) return error;
  }
  for (const auto& each : reader.elements(reader.get(given, "addresses"))) {
    std::span<const uint8_t> mac = bytes(reader.get(each, "mac"));
    uint32_t remote = u32(reader.get(each, "remote"));
    if (reader.error() != 0) return reader.error();
    if (mac.size() != 6 || remote >= out->remotes.size()) return -EINVAL;
    out->addresses.emplace_back(ForwardingTable::mac_of(mac.data()), remote);
  }
  out->addresses_max = u32(reader.get(given, "addressesMax"));
  out->age_ns = uint64_t{u32(reader.get(given, "ageMs"))} * 1'000'000;
  out->clamp_mss = boolean(reader.get(given, "clampMss"));
  out->path_overhead_bytes = u32(reader.get(given, "pathOverhead"));
  out->flood = boolean(reader.get(given, "flood"));
  if (reader.error() != 0) return reader.error();
  return out->remotes.empty() ? -EINVAL : 0;
}

// Bound as the socket is, but to a port of its own, whose remainder says to the other end which queue it is.
int open_sender(const Endpoint& endpoint, uint32_t queue, uint32_t queues, Fd* out) {
  Address own;
  if (int error = socket_name(endpoint.fd.get(), false, &own)) return error;
  // The kernel chooses by chance: that none fits is as good as impossible.
  for (uint32_t tries = 0; tries < 64 * queues; tries++) {
    own.port = 0;
    if (int error = open_datagram(endpoint.family, out)) return error;
    if (int error = bind_socket(out->get(), own)) return error;
    if (int error = socket_name(out->get(), false, &own)) return error;
    if (own.port % queues == queue) {
      make_buffers_large(out->get());
      return 0;
    }
  }
  return -EADDRINUSE;
}

Tunnel* tunnel_of(Endpoint* endpoint) {
  return endpoint != nullptr && endpoint->responder ? endpoint->responder->tunnel() : nullptr;
}

}  // namespace

std::vector<IoThreadObject::PropertyDescriptor> IoThreadObject::tunnel_methods() {
  using Self = IoThreadObject;
  return {InstanceMethod<&Self::open_tunnel>("openTunnel"),
          InstanceMethod<&Self::get_tunnel_device>("getTunnelDevice")};
}

// openTunnel(id, options, cells: BigUint64Array of kTunnelCounters): makes the device, and moves frames once
// the socket is watched; after bind() and before watch(). "": it has; or the call that was refused, a colon
// and -errno.
Napi::Value IoThreadObject::open_tunnel(const Napi::CallbackInfo& info) {
  auto answer = [&](const char* syscall, int error) {
    return Napi::String::New(info.Env(),
                             error == 0 ? "" : std::string(syscall) + ":" + std::to_string(error));
  };
  auto endpoint = find(info[0]);
  if (!endpoint) return answer("open", -EBADF);
  Reader reader(env_);
  Tunnel::Options options;
  if (int error = tunnel_options(reader, info[1], &options)) return answer("tunnel", error);
  size_t cells = 0;
  auto* counters = reinterpret_cast<uint64_t*>(pin(info[2], &cells));
  if (cells < kTunnelCounters) return answer("tunnel", -EINVAL);
  options.device.overhead_bytes = kEthernetBytes + (options.vxlan ? kVxlanBytes : 0);
  Fd sender;
  if (options.device.multi_queue && options.vxlan) {
    uint32_t queues = u32(reader.get(info[1], "queues")), queue = u32(reader.get(info[1], "queue"));
    if (reader.error() != 0 || queue >= queues) return answer("tunnel", -EINVAL);
    if (int error = open_sender(*endpoint, queue, queues, &sender)) return answer("socket", error);
  }
  Tap tap;
  if (TapFailure failure = open_tap(options.device, &tap)) return answer(failure.syscall, failure.error);
  options.device.name = tap.name;  // if it is made again
  make_buffers_large(endpoint->fd.get());
  if (options.vxlan && endpoint->family == 6) take_without_checksum(endpoint->fd.get());
  endpoint->receive_buffer.leave();
  Engine& engine = thread_->engine();
  Tunnel::Host host{[&engine, id = endpoint->id](int fd, uint32_t key, uint32_t interest) {
                      return engine.watch(fd, responder_token(id, key), interest);
                    },
                    [&engine](int fd) { engine.unwatch(fd); }};
  auto tunnel =
      std::make_unique<Tunnel>(std::move(options), std::move(tap), endpoint->fd.get(), endpoint->family,
                               std::move(host), offloads(), TunnelCounters(counters), endpoint->counters);
  Tunnel& made = *tunnel;
  if (sender) made.send_by(std::move(sender));
  // The thread may be told of the device as soon as it is watched.
  std::lock_guard lock(endpoint->rx_mutex);
  endpoint->responder = std::move(tunnel);
  return answer("epoll_ctl", made.start());
}

// getTunnelDevice(id) → its name; empty while it is not there
Napi::Value IoThreadObject::get_tunnel_device(const Napi::CallbackInfo& info) {
  auto endpoint = find(info[0]);
  Tunnel* tunnel = tunnel_of(endpoint.get());
  if (tunnel == nullptr) return Napi::String::New(info.Env(), "");
  std::lock_guard lock(endpoint->rx_mutex);
  const Tap* device = tunnel->device();
  return Napi::String::New(info.Env(), device != nullptr ? device->name : "");
}

}  // namespace ksocket
