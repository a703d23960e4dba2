// IoThreadObject: how a socket gets its descriptor, and what the kernel is to say of its datagrams. The first
// argument of each call is the socket's id.
#include <fcntl.h>
#include <unistd.h>

#include "bridge/io_thread_object.h"
#include "bridge/uv_handle.h"
#include "core/base/or_errno.h"
#include "core/base/room.h"
#include "core/contract/open_flags.h"
#include "core/socket/bound_path.h"
#include "core/socket/fd_type.h"
#include "core/socket/options.h"
#include "core/socket/socket.h"

namespace ksocket {

namespace {

// What a flag turns on.
struct Requested {
  uint32_t flag;
  SocketOption option;
};

constexpr Requested kMetadata[] = {{kOpenReceiveTtl, SocketOption::receive_ttl},
                                   {kOpenReceiveTos, SocketOption::receive_tos},
                                   {kOpenReceiveLocal, SocketOption::receive_local},
                                   {kOpenReceiveOriginal, SocketOption::receive_original},
                                   {kOpenReceiveTimes, SocketOption::receive_times},
                                   {kOpenReceiveErrors, SocketOption::receive_errors},
                                   {kOpenReceiveCredentials, SocketOption::receive_credentials}};

// What a local socket asks for when it gets a name: with SO_PASSCRED the kernel would give it one of its own
// as soon as it sends or connects (unix_autobind), and no other after that. Nobody sends to it before.
constexpr uint32_t kLate = kOpenReceiveCredentials;

// -errno of the first that the kernel refuses and that is not optional.
int request(int fd, uint8_t family, uint32_t flags, std::span<const Requested> rows) {
  for (const Requested& row : rows) {
    if (!(flags & row.flag)) continue;
    int error = set_option(fd, family, row.option, 1);
    if (error != 0 && !(flags & (row.flag << kOpenOptionalShift))) return error;
  }
  return 0;
}

// Of a socket that answers on all addresses: from the one that was asked. Where the kernel does not say which
// one that was, it goes on choosing.
void answer_as_asked(Endpoint& endpoint) {
  Address own;
  if (socket_name(endpoint.fd.get(), false, &own) != 0 || !is_unspecified(own)) return;
  endpoint.wants_packet_info =
      set_option(endpoint.fd.get(), endpoint.family, SocketOption::receive_local, 1) == 0;
}

}  // namespace

// open(id, family, flags): makes the descriptor. flags: OpenFlags.
Napi::Value IoThreadObject::open(const Napi::CallbackInfo& info) {
  return number(info.Env(), open_endpoint(u32(info[0]), static_cast<uint8_t>(u32(info[1])), u32(info[2])));
}

// openAt(id, family, flags, address, port, keepBytesMax): open(), bind() and watch(), which are one after the
// other in a socket's life mostly. What bind() refuses leaves the descriptor open.
Napi::Value IoThreadObject::open_at(const Napi::CallbackInfo& info) {
  uint8_t family = static_cast<uint8_t>(u32(info[1]));
  if (int error = open_endpoint(u32(info[0]), family, u32(info[2]))) return number(info.Env(), error);
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    Address address;
    int error = address_of(family, info[3], info[4], &address);
    if (error == 0) error = bind_socket(endpoint.fd.get(), address);
    if (error != 0) return error;
    endpoint.keep_bytes_max = u32(info[5]);
    error = thread_->watch(endpoint);
    if (error != 0) thread_->close(endpoint.id);
    return error;
  });
}

int IoThreadObject::open_endpoint(uint32_t id, uint8_t family, uint32_t flags) {
  if (!thread_) return -EBADF;
  if (family == kLocal && thread_->local_bytes() > 0 && !has_room(thread_->local_bytes())) return -ENOMEM;
  Fd fd;
  if (int error = open_datagram(family, &fd)) return error;

  constexpr Requested kBeforeBind[] = {{kOpenReuseAddress, SocketOption::reuse_address},
                                       {kOpenReusePort, SocketOption::reuse_port},
                                       {kOpenIpv6Only, SocketOption::ipv6_only}};
  if (int error = request(fd.get(), family, flags, kBeforeBind)) return error;
  uint32_t late = family == kLocal ? flags & kLate : 0;
  if (int error = request(fd.get(), family, flags & ~late, kMetadata)) return error;
  Endpoint& endpoint = add_endpoint(id, family, flags, std::move(fd));
  if (late != 0) endpoint.local->late_flags = flags & (late | late << kOpenOptionalShift);
  return 0;
}

// adopt(id, { fd, copy, flags, libuv }): takes a bound UDP descriptor that somebody else made, or a copy of
// it. With `libuv` -EEXIST where it is one of the event loop's, as uv_udp_open() says.
Napi::Value IoThreadObject::adopt(const Napi::CallbackInfo& info) {
  if (!thread_) return number(info.Env(), -EBADF);
  Reader reader(env_);
  int original = i32(reader.get(info[1], "fd"));
  bool wants_local = u32(reader.get(info[1], "family")) == kLocal;
  bool copy = boolean(reader.get(info[1], "copy")), libuv = boolean(reader.get(info[1], "libuv"));
  uint32_t flags = u32(reader.get(info[1], "flags"));
  if (reader.error() != 0) return number(info.Env(), reader.error());
  int family = fd_family(original);
  if (family == 0 || (family == kLocal) != wants_local) return number(info.Env(), -EINVAL);
  if (wants_local && thread_->local_bytes() > 0 && !has_room(thread_->local_bytes()))
    return number(info.Env(), -ENOMEM);
  if (libuv && is_watched_by_loop(info.Env(), original)) return number(info.Env(), -EEXIST);
  Fd fd(copy ? fcntl(original, F_DUPFD_CLOEXEC, 0) : original);
  if (!fd) return number(info.Env(), -errno);
  if (fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) | O_NONBLOCK) < 0) return number(info.Env(), -errno);
  if (int error = request(fd.get(), static_cast<uint8_t>(family), flags, kMetadata))
    return number(info.Env(), error);
  Endpoint& endpoint = add_endpoint(u32(info[0]), static_cast<uint8_t>(family), flags, std::move(fd));
  endpoint.held_elsewhere.store(true);
  endpoint.kernel_drops.wait();
  return number(info.Env(), 0);
}

Endpoint& IoThreadObject::add_endpoint(uint32_t id, uint8_t family, uint32_t flags, Fd fd) {
  bool may_offload = offloads() && family != kLocal;
  uint32_t slot = id & kSocketSlotMask;
  Counters counters = counters_of(slot);
  if (slot < counter_rows_used_) {
    counters.clear();
  } else {  // zeroes, of which the kernel has made no memory yet
    counter_rows_used_ = slot + 1;
  }
  auto endpoint = std::make_shared<Endpoint>(id, family, std::move(fd), counters);
  endpoint->drop_when_full = (flags & kOpenDropWhenFull) != 0;
  endpoint->gro = may_offload && (flags & kOpenGro) != 0;
  endpoint->tx.gso.enabled = may_offload && (flags & kOpenGso) != 0;
  endpoint->receive_times = (flags & kOpenReceiveTimes) != 0;
  if (flags & kOpenReceiveErrors) {
    int queued = 0;  // 0 where the kernel has refused what was optional
    ksocket::get_option(endpoint->fd.get(), family, SocketOption::receive_errors, &queued);
    endpoint->reads_queue = endpoint->tx.errors_are_queued = queued != 0;
    endpoint->packet_infos = packet_infos_;
  }
  if (flags & (kOpenReceiveLocal | kOpenReceiveOriginal | kOpenReceiveCredentials | kOpenReceiveRights)) {
    endpoint->packet_infos = packet_infos_;
    endpoint->wants_packet_info = true;
  }
  if (options_.busy_poll_us > 0) {  // where the kernel has it, and we may
    auto usecs = static_cast<int>(options_.busy_poll_us);
    ksocket::set_option(endpoint->fd.get(), family, SocketOption::busy_poll, usecs);
    ksocket::set_option(endpoint->fd.get(), family, SocketOption::prefer_busy_poll, 1);
  }
  thread_->add(endpoint);
  if (endpoint->local) endpoint->local->wants_rights = (flags & kOpenReceiveRights) != 0;
  return *endpoint;
}

// bindPath(id, path, mode, replaceStale, keep): mode -1 is the umask's
Napi::Value IoThreadObject::bind_path(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    if (!endpoint.local) return -EINVAL;
    Address name;
    int error = parse_address(kLocal, text(info[1]), 0, &name);
    if (error != 0) return error;
    int fd = endpoint.fd.get();
    uint32_t late = endpoint.local->late_flags;
    if ((error = request(fd, kLocal, late, kMetadata)) != 0) return error;
    PathOptions options{i32(info[2]), boolean(info[3]), boolean(info[4])};
    error = bind_to_path(fd, name, options, &endpoint.local->bound_path);
    if (error != 0 && late != 0) ksocket::set_option(fd, kLocal, SocketOption::receive_credentials, 0);
    return error;
  });
}

// lendPacketInfos(memory): a PacketInfo for each of the ring's slots, before a socket is opened that needs
// them
Napi::Value IoThreadObject::lend_packet_infos(const Napi::CallbackInfo& info) {
  size_t bytes = 0;
  auto* memory = reinterpret_cast<PacketInfo*>(pin(info[0], &bytes));
  if (bytes < ring_.slots * sizeof(PacketInfo)) return number(info.Env(), -EINVAL);
  packet_infos_ = memory;
  return number(info.Env(), 0);
}

// receiveLocal(id): as if it were opened with kOpenReceiveLocal, from the next datagram on
Napi::Value IoThreadObject::receive_local(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    std::lock_guard lock(endpoint.rx_mutex);
    int error = ksocket::set_option(endpoint.fd.get(), endpoint.family, SocketOption::receive_local, 1);
    if (error != 0) return error;
    endpoint.packet_infos = packet_infos_;
    endpoint.wants_packet_info = true;
    return 0;
  });
}

// watch(id, keepBytesMax): starts to receive
Napi::Value IoThreadObject::watch(const Napi::CallbackInfo& info) {
  return endpoint_or_ebadf(info, [&](Endpoint& endpoint) {
    endpoint.keep_bytes_max = u32(info[1]);
    if (endpoint.responder) answer_as_asked(endpoint);
    // Until now who else has it has counted.
    if (endpoint.held_elsewhere.load()) endpoint.kernel_drops.begin(endpoint.fd.get());
    return thread_->watch(endpoint);
  });
}

}  // namespace ksocket
